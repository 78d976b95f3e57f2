"""Redis commands of many coroutines, sent together.

What coroutines of one loop ask within one turn, or while an earlier pipeline is under way, leaves
as one pipeline. A hundred steps in flight then cost a few round trips, not hundreds, and a third of
redis-py's CPU time for each command. Scripts are sent by their hash and loaded when Redis forgot
them.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextvars import Context
from typing import Any

from redis.exceptions import NoScriptError

MOST_UNDER_WAY = 2
MOST_COMMANDS = 500

Argument = str | int | float | bytes
Asked = tuple[tuple[Argument, ...], "asyncio.Future[Any]"]


class Pipelining:
    """Sends commands over one client, for the coroutines of one loop."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._waiting: list[Asked] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._due = False

    async def send(self, *command: Argument) -> Any:
        """Send one command; returns its answer, raises its error (redis.exceptions, OSError).

        A command whose asker is cancelled may still be carried out, as with any Redis client.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, answer))
        if not self._due and len(self._under_way) < MOST_UNDER_WAY:
            self._due = True
            loop.call_soon(self._leave)
        return await answer

    def _leave(self) -> None:
        self._due = False
        if self._waiting:
            some, self._waiting = self._waiting[:MOST_COMMANDS], self._waiting[MOST_COMMANDS:]
            task = asyncio.get_running_loop().create_task(self._carry(some), context=Context())
            self._under_way.add(task)
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._waiting and not self._due:
            self._leave()

    async def _carry(self, asked: Sequence[Asked]) -> None:
        try:
            pipe = self._redis.pipeline(transaction=False)
            for command, _ in asked:
                pipe.execute_command(*command)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        except asyncio.CancelledError:
            answer_all(asked, [ConnectionError("cancelled")] * len(asked))
            raise
        except Exception as error:  # noqa: BLE001  # every asker hears of it
            answers = [error] * len(asked)
        answer_all(asked, answers)


def answer_all(asked: Sequence[Asked], answers: Sequence[Any]) -> None:
    """Give each asker its answer or its error, unless it left."""
    for (_, waiting), answer in zip(asked, answers, strict=True):
        if waiting.done():
            continue
        if isinstance(answer, BaseException):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)


class Script:
    """A Lua script, called by its hash."""

    def __init__(self, pipelining: Pipelining, text: str) -> None:
        self._pipelining = pipelining
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run it; raises what Pipelining.send raises."""
        command = ("EVALSHA", self._sha, len(keys), *keys, *arguments)
        try:
            return await self._pipelining.send(*command)
        except NoScriptError:
            await self._pipelining.send("SCRIPT LOAD", self._text)
            return await self._pipelining.send(*command)

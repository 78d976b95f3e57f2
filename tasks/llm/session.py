"""What one client holds on its loop: the gate, the completer, and who is under way.

`tasks.llm.client` is its face for callers on other threads and loops.
"""

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections.abc import Callable
from typing import Any, TypedDict

from tasks.connection import connect
from tasks.errors import BadReplyError, CastlineError, FilteredReplyError
from tasks.gate.gate import Gate
from tasks.gate.in_memory import MemoryRules
from tasks.gate.on_redis import RedisRules
from tasks.llm.admission import Admission
from tasks.llm.cache.caching import CachingCompleter
from tasks.llm.cache.memory import MemoryShelf
from tasks.llm.cache.shared import RedisShelf
from tasks.llm.cache.shelf import Shelf
from tasks.llm.combined import Small
from tasks.llm.completer import Completer
from tasks.llm.deadline import Deadline
from tasks.llm.providers import Provider, gate_limits
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.small import SmallTalk
from tasks.llm.structured import FILTERED
from tasks.schemas.completion import ChatRequest, Completion
from tasks.settings import Settings

log = logging.getLogger(__name__)

IN_MEMORY = "in-memory"
ON_REDIS = "redis"

Put = Callable[[str | CastlineError | None], Any]


class ClientStatus(TypedDict):
    """A client at one moment; `gate` is `redis` (shared with a cluster) or `in-memory`.

    `in_flight` calls hold one of the client's places, `waiting` ones wait for one; `at_gate` of the
    first wait for the provider's limits; `small_waiting` questions gather. `reuse_ratio` is
    requests for each connection. `failures` counts attempts by class: `rate` (429), `server` (5xx),
    `network`, `refused`, `reply`, `other`.
    """

    provider: str
    model: str
    gate: str
    in_flight: int
    waiting: int
    at_gate: int
    small_waiting: int
    connections_open: int
    connections_opened: int
    requests: int
    reuse_ratio: float
    calls_made: int
    calls_failed: int
    failures: dict[str, int]
    retried: int
    cached: int
    prompt_tokens: int
    completion_tokens: int


class Session:
    """The calls of one client; made and closed on the loop that runs them."""

    def __init__(self, settings: Settings, provider: Provider) -> None:
        self.provider = provider
        self.loop = asyncio.get_running_loop()
        self._redis = redis_of(settings)
        rules = MemoryRules() if self._redis is None else RedisRules(self._redis)
        self._gate = Gate(rules, gate_limits(provider), lease_s=settings.lease_s)
        self._completer = Completer(
            provider,
            self._gate,
            retry_scale=settings.retry_scale,
            call_deadline_s=settings.async_timeout_s,
        )
        self._replies = CachingCompleter(
            self._completer,
            shelf_of(settings, self._redis),
            ttl_s=settings.cache_ttl_s,
            lease_s=settings.lease_s,
        )
        self._timeout_s = settings.async_timeout_s
        self._admission = Admission(
            places=settings.async_workers, queue_size=settings.async_queue_size
        )
        self._small = SmallTalk(
            provider,
            lambda request: self.complete(request, patient=True),
            size=settings.async_small_size,
            wait_s=settings.async_small_wait_s,
            max_waiting=settings.async_queue_size,
            in_flight=settings.async_workers,
        )
        self._tally = CallTally()
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._made = 0
        self._failed = 0
        self._ongoing: set[asyncio.Task[Any]] = set()

    async def complete(self, request: ChatRequest, *, patient: bool = False) -> Completion:
        """Make one call when there is a place for it.

        The deadline counts from now, or from its place for a `patient` caller. Raises
        QueueFullError, DeadlineError, what `check_reply` and what the completer raises.
        """
        task = self._begun()
        try:
            scope = self._at_once() or await self._in_turn(patient)
            try:
                done = await self._replies.complete(request, key=scope.key, scope=scope)
                check_reply(done.finish_reason, said=bool(done.text.strip()))
                return done
            finally:
                self._admission.leave()
        except CastlineError:
            self._failed += 1
            raise
        finally:
            self._ongoing.discard(task)

    async def warm_up(self) -> None:
        """Open connections before the first call; never fails."""
        await self._replies.warm_up()

    async def ask_small(self, small: Small, priority: int) -> str:
        """Answer a small question together with others. Raises what `SmallTalk.ask` raises."""
        return await self._small.ask(small, priority=priority, timeout_s=self._timeout_s)

    async def chat_in_turn(self, request: ChatRequest, places: asyncio.Semaphore) -> str:
        """Make one call of a batch, whose calls share these places."""
        async with places:
            return (await self.complete(request, patient=True)).text

    async def relay(self, request: ChatRequest, put: Put) -> None:
        """Make one call that is streamed: put its pieces, then None or the error that ended it.

        One that is empty or was filtered is an error, as a whole one is.

        Nobody waits for a slow reader: a reply is at most a few megabytes, a slot is dear.
        """
        task = self._begun()
        try:
            scope = self._at_once() or await self._in_turn()
            try:
                stream = self._completer.stream(request, key=scope.key, scope=scope)
                finish_reason, said = "", False
                async with contextlib.aclosing(stream):
                    async for event in stream:
                        finish_reason = event.finish_reason or finish_reason
                        if event.text:
                            said = True
                            put(event.text)
                check_reply(finish_reason, said=said)
            finally:
                self._admission.leave()
            put(None)
        except CastlineError as error:
            self._failed += 1
            put(error)
        finally:
            self._ongoing.discard(task)

    def status(self) -> ClientStatus:
        """Count calls and connections."""
        pool, usage = self._completer.pool, self._tally.usage
        return {
            "provider": self.provider.name,
            "model": self.provider.model,
            "gate": IN_MEMORY if self._redis is None else ON_REDIS,
            "in_flight": self._admission.in_flight,
            "waiting": self._admission.waiting,
            "at_gate": self._gate.waiting(self.provider.name),
            "small_waiting": self._small.waiting,
            "connections_open": pool.open,
            "connections_opened": pool.opened,
            "requests": pool.requests,
            "reuse_ratio": round(pool.reuse_ratio, 2),
            "calls_made": self._made,
            "calls_failed": self._failed,
            "failures": dict(self._completer.failures),
            "retried": usage.retried,
            "cached": usage.cached,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
        }

    async def close(self, *, now: bool = False) -> None:
        """Let the calls that are under way end (`now`: cancel them) and close the connections."""
        if now:
            for task in self._ongoing:
                task.cancel()
        else:
            await self._small.close()
        if self._ongoing:
            await asyncio.wait(self._ongoing)
        await self._replies.close()
        await self._gate.close()
        if self._redis is not None:
            await self._redis.aclose()

    def _begun(self) -> asyncio.Task[Any]:
        """Count a call and its task, which `close` waits for."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("calls are made in tasks")
        self._ongoing.add(task)
        self._made += 1
        return task

    def _at_once(self) -> CallScope | None:
        """Take one of the client's places, if one is free; it must be left again."""
        return self._scope(Deadline(self._timeout_s)) if self._admission.try_enter() else None

    async def _in_turn(self, patient: bool = False) -> CallScope:
        """Wait for a place. Raises QueueFullError, DeadlineError for who is not `patient`."""
        if patient:
            await self._admission.enter(patient=True)
            return self._scope(Deadline(self._timeout_s))
        deadline = Deadline(self._timeout_s)
        async with deadline.enforced():
            await self._admission.enter()
        return self._scope(deadline)

    def _scope(self, deadline: Deadline) -> CallScope:
        key = f"{self._name}{next(self._numbers):x}"
        return CallScope(key=key, tally=self._tally, deadline=deadline)


def redis_of(settings: Settings) -> Any | None:
    """Open the Redis that a cluster shares, if one is configured or a local stack runs."""
    if settings.redis_url is None and settings.stack() is None:
        log.info("no Redis is configured: the gate is in memory, the limits this process's own")
        return None
    return connect(settings.broker_url())


def shelf_of(settings: Settings, redis: Any | None) -> Shelf | None:
    """Where shared replies lie: with the cluster's, else in memory, or nowhere."""
    if settings.cache == "off":
        return None
    return MemoryShelf() if redis is None else RedisShelf(redis)


def check_reply(finish_reason: str, *, said: bool) -> None:
    """Raise FilteredReplyError for a reply that was filtered, BadReplyError for an empty one.

    What was cut at its token limit is a text, too.
    """
    if finish_reason in FILTERED:
        raise FilteredReplyError("the provider's content filter withheld the reply")
    if not said:
        raise BadReplyError("the reply is empty")

"""Discussion sessions: who holds one of the slots, who waits, what is forgotten.

A session's documents and events are those of its ledger run; here is what a run has not: slots that
expire, a waiting room in order of arrival, questions from outside, and idle time.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tasks.connection import TextRedis
from tasks.pipelining import Pipelining, Script
from tasks.schemas.discussions import QuestionDocument
from tasks.store import keys

LEASE_MS = 120_000


@dataclass(frozen=True, kw_only=True)
class SessionState:
    """What decides whether a discussion goes on; `age_s` counts from when it was let in."""

    ended: bool
    tokens: int
    age_s: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The answer to somebody who wants a slot: `position` 0 has one, others wait; -1 is refused."""

    position: int
    held: int


@dataclass(frozen=True, kw_only=True)
class Removed:
    """The idle sessions that were removed, and how many keys went with them."""

    sessions: tuple[str, ...]
    keys: int


class Sessions:
    """The sessions on one Redis; all decisions are made in `lua/enter.lua`, on Redis time."""

    def __init__(self, redis: TextRedis, *, slots: int = 100, each: int = 10) -> None:
        self._redis = redis
        self._slots = slots
        self._each = each
        folder = files("tasks.store").joinpath("lua")
        text = folder.joinpath("sessions.lua").read_text()
        self._script = Script(Pipelining(redis), text)

    async def enter(self, run_id: str, user: str) -> Entry:
        """Take a slot, or a place in the waiting room; one user has at most so many of both."""
        position, held = await self._call("enter", run_id, user)
        return Entry(position=int(position), held=int(held))

    async def enter_again(self, run_id: str, user: str) -> Entry:
        """Take a slot for a session that has ended; without a free one it gets no place to wait."""
        position, held = await self._call("again", run_id, user)
        return Entry(position=int(position), held=int(held))

    async def promote(self) -> list[str]:
        """Give free slots to those who wait longest; returns their sessions."""
        return [str(run_id) for run_id in await self._call("promote", "", "")]

    async def leave(self, run_id: str) -> None:
        """Give a slot or a place in the waiting room back; the session itself stays."""
        await self._call("leave", run_id, "")

    async def hold(self, run_id: str) -> None:
        """Renew a session's slot, not its idle time."""
        await self._call("hold", run_id, "")

    async def touch(self, run_id: str) -> None:
        """Renew a session's slot and its idle time."""
        await self._call("touch", run_id, "")

    async def active(self) -> list[str]:
        """List the sessions that hold a slot."""
        return list(await self._redis.zrange(keys.SESSIONS_ACTIVE, 0, -1))

    async def held(self) -> int:
        """Count the sessions that hold a slot."""
        return int(await self._redis.zcard(keys.SESSIONS_ACTIVE))

    async def waiting(self) -> list[str]:
        """List the sessions that wait, first come first."""
        return list(await self._redis.zrange(keys.SESSIONS_WAITING, 0, -1))

    async def of_user(self, user: str) -> list[str]:
        """List a user's sessions, newest last."""
        owners = await self._redis.hgetall(keys.SESSIONS_USERS)
        return sorted(run_id for run_id, owner in owners.items() if owner == user)

    async def state(self, run_id: str) -> SessionState:
        """Read what decides whether a discussion goes on."""
        run = keys.RunKeys(run_id).run
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(run, ["discussion_ended", "tokens_prompt", "tokens_completion", "opened_ms"])
            pipe.time()
            (over, prompt, completion, opened), (seconds, micros) = await pipe.execute()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return SessionState(
            ended=over == "1",
            tokens=int(float(prompt or 0) + float(completion or 0)),
            age_s=(now_ms - int(opened or now_ms)) / 1000,
        )

    async def end(self, run_id: str) -> None:
        """Ask a discussion to come to its end: turns that have not begun are skipped."""
        await self._redis.hset(keys.RunKeys(run_id).run, "discussion_ended", "1")

    async def add_question(
        self, run_id: str, question: str, *, planned: int, question_id: str
    ) -> int:
        """Note a question behind all others; returns its round, after the planned ones.

        One that is there already, by its id, keeps its round.
        """
        known = await self.round_of(run_id, question_id, planned=planned)
        entry = json.dumps({"id": question_id, "question": question})
        name = keys.session_questions(run_id)
        return known or planned + int(await self._redis.rpush(name, entry))

    async def round_of(self, run_id: str, question_id: str, *, planned: int) -> int:
        """Find the round of a question by its id; 0 when it is not there."""
        entries = await self._redis.lrange(keys.session_questions(run_id), 0, -1)
        ids = [json.loads(entry).get("id") for entry in entries]
        return planned + 1 + ids.index(question_id) if question_id in ids else 0

    async def questions(self, run_id: str, *, planned: int) -> list[QuestionDocument]:
        """Read the questions, oldest first: a round each, after the planned ones."""
        entries = await self._redis.lrange(keys.session_questions(run_id), 0, -1)
        return [
            QuestionDocument(question=json.loads(entry)["question"], round=number)
            for number, entry in enumerate(entries, planned + 1)
        ]

    async def forget_idle(self, idle_ms: int) -> "Removed":
        """Remove every key of sessions that nothing has happened in for so long."""
        seconds, micros = await self._redis.time()
        horizon = int(seconds) * 1000 + int(micros) // 1000 - idle_ms
        gone = await self._redis.zrangebyscore(keys.SESSIONS_SEEN, "-inf", horizon)
        removed_keys = 0
        for run_id in gone:
            await self.leave(run_id)
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(
                    *keys.RunKeys(run_id).all,
                    keys.session_questions(run_id),
                    keys.run_log(run_id),
                )
                pipe.zrem(keys.RUNS, run_id)
                pipe.hdel(keys.LOAD, run_id)
                pipe.hdel(keys.SESSIONS_USERS, run_id)
                pipe.zrem(keys.SESSIONS_SEEN, run_id)
                pipe.hincrby(keys.SESSIONS_COUNTS, "expired", 1)
                removed, *_ = await pipe.execute()
            removed_keys += removed
            await self._redis.hincrby(keys.SESSIONS_COUNTS, "removed_keys", removed)
        return Removed(sessions=tuple(map(str, gone)), keys=removed_keys)

    async def _call(self, what: str, run_id: str, user: str) -> Any:
        where = [
            keys.SESSIONS_ACTIVE,
            keys.SESSIONS_WAITING,
            keys.SESSIONS_USERS,
            keys.SESSIONS_SEEN,
            keys.SESSIONS_COUNTS,
        ]
        return await self._script(where, [what, run_id, user, self._slots, self._each, LEASE_MS])

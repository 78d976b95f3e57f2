"""Reads runs from the ledger; it changes nothing but the list of runs that have expired."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tasks.connection import TextRedis
from tasks.errors import BadInputError
from tasks.pipelining import Pipelining
from tasks.schemas.batches import BatchStanding, Chunk
from tasks.schemas.ledger import RunLine, RunSnapshot, StoredDocument, Submitter
from tasks.schemas.plan import Request, StepRow
from tasks.schemas.status import StepEvent
from tasks.schemas.steps import StepName
from tasks.store import keys
from tasks.store.rows import COUNTERS

EVENTS_AT_ONCE = 500
LINE = ["kind", "state", "created_ms", "open", "steps", "submitter"]


class RunReader:
    """Looks into runs on one Redis."""

    def __init__(self, redis: TextRedis) -> None:
        self._redis = redis
        self._pipelining = Pipelining(redis)

    async def request(self, run_id: str) -> Request:
        """Read a run's request. Raises BadInputError for an unknown run."""
        text = await self._pipelining.send("HGET", keys.RunKeys(run_id).run, "request")
        if text is None:
            raise unknown_run(run_id)
        return Request.model_validate_json(text)

    async def row(self, run_id: str, step: str) -> StepRow | None:
        """Read one row of a run's plan."""
        text = await self._pipelining.send("HGET", keys.RunKeys(run_id).rows, step)
        return None if text is None else StepRow.model_validate_json(text)

    async def opened_by(self, run_id: str, step: str) -> list[str]:
        """List the waiting steps that follow a settled one and need nothing more."""
        k = keys.RunKeys(run_id)
        text = await self._pipelining.send("HGET", k.after, step)
        after = [entry.lstrip("?") for entry in json.loads(text or "[]")]
        if not after:
            return []
        needs = await self._pipelining.send("HMGET", k.needs, *after)
        states = await self.states(run_id, after)
        return [
            follower
            for follower, left in zip(after, needs, strict=True)
            if int(left or 0) <= 0 and states.get(follower) == "waiting"
        ]

    async def states(self, run_id: str, steps: Sequence[str]) -> dict[str, str]:
        """Read the states of these steps; unknown steps are left out."""
        found = await self._pipelining.send("HMGET", keys.RunKeys(run_id).state, *steps)
        return {s: state for s, state in zip(steps, found, strict=True) if state is not None}

    async def documents(self, run_id: str, steps: Sequence[str]) -> dict[str, StoredDocument]:
        """Read the documents of these steps; steps without one are left out."""
        if not steps:
            return {}
        texts = await self._pipelining.send("HMGET", keys.RunKeys(run_id).docs, *steps)
        pairs = zip(steps, texts, strict=True)
        return {step: StoredDocument.from_text(text) for step, text in pairs if text is not None}

    async def all_documents(self, run_id: str) -> dict[str, StoredDocument]:
        """Read every document of a run that counts."""
        texts = await self._redis.hgetall(keys.RunKeys(run_id).docs)
        return {step: StoredDocument.from_text(t) for step, t in texts.items() if " " not in step}

    async def snapshot(self, run_id: str) -> RunSnapshot:
        """Read a run whole, but for its documents. Raises BadInputError for an unknown run."""
        k = keys.RunKeys(run_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(k.run)
            pipe.hgetall(k.rows)
            pipe.hgetall(k.state)
            pipe.hgetall(k.errors)
            pipe.hvals(k.names)
            pipe.xrevrange(k.events, count=1)
            pipe.time()
            run, rows, states, errors, names, last, time = await pipe.execute()
        if not run:
            raise unknown_run(run_id)
        request = Request.model_validate_json(run["request"])
        return RunSnapshot(
            run_id=run_id,
            request=request,
            state=run["state"],
            created_ms=int(run["created_ms"]),
            finished_ms=int(run["finished_ms"]) if "finished_ms" in run else None,
            now_ms=int(time[0]) * 1000 + int(time[1]) // 1000,
            rows={step: StepRow.model_validate_json(text) for step, text in rows.items()},
            states=states,
            errors=errors,
            names={int(n.split(" ", 1)[0]): n.split(" ", 1)[1] for n in names},
            counters={name: float(run[name]) for name in COUNTERS if name in run},
            cancelled=run.get("cancel") == "1",
            last_event=last[0][0] if last else "0-0",
            batch=await self.batch(run_id) if request.batch_api else None,
            submitter=Submitter.from_text(run.get("submitter")),
        )

    async def batch(self, run_id: str) -> BatchStanding:
        """Say how a run's batches stand; all zero for a run that has none."""
        k = keys.BatchKeys.of(run_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(keys.RunKeys(run_id).run, ["batch_asked", "batch_back"])
            pipe.hlen(k.calls)
            pipe.hvals(k.chunks)
            (asked, back), outstanding, texts = await pipe.execute()
        chunks = [Chunk.model_validate_json(text) for text in texts]
        sent = [chunk for chunk in chunks if chunk.batch_id]
        submitted = min(int(outstanding), sum(chunk.calls for chunk in sent))
        return BatchStanding(
            asked=int(asked or 0),
            back=int(back or 0),
            pending=int(outstanding) - submitted,
            submitted=submitted,
            batches=tuple(sorted(chunk.batch_id for chunk in sent)),
        )

    async def runs(self, limit: int = 50) -> list[RunLine]:
        """List the newest runs first; runs past their retention are forgotten on the way."""
        ids = await self._redis.zrevrange(keys.RUNS, 0, limit - 1)
        lines = await self.lines(ids)
        found = {line.run_id for line in lines}
        if gone := [run_id for run_id in ids if run_id not in found]:
            await self._redis.zrem(keys.RUNS, *gone)
        return lines

    async def lines(self, ids: Sequence[str]) -> list[RunLine]:
        """Read a line of each of these runs; those that are not there are left out."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for run_id in ids:
                pipe.hmget(keys.RunKeys(run_id).run, LINE)
            answers = await pipe.execute()
        return [
            RunLine(
                run_id=run_id,
                kind=values[0],
                state=values[1],
                created_ms=int(values[2]),
                open_steps=int(values[3]),
                steps=int(values[4]),
                submitter=Submitter.from_text(values[5]),
            )
            for run_id, values in zip(ids, answers, strict=True)
            if values[0] is not None
        ]

    async def events(
        self, run_id: str, after: str, *, block_s: float = 1.0
    ) -> AsyncIterator[StepEvent | None]:
        """Yield a run's events after entry `after`, for ever; None after a quiet `block_s`."""
        stream = keys.RunKeys(run_id).events
        while True:
            answer = await self._redis.xread(
                {stream: after}, count=EVENTS_AT_ONCE, block=int(block_s * 1000)
            )
            if not answer:
                yield None
                continue
            for _, entries in streams_of(answer):
                for entry_id, fields in entries:
                    after = entry_id
                    yield event_of(entry_id, fields)

    async def history(self, run_id: str) -> list[StepEvent]:
        """Read every event that a run has had so far."""
        entries = await self._redis.xrange(keys.RunKeys(run_id).events)
        return [event_of(entry_id, fields) for entry_id, fields in flatten(entries)]

    async def events_after(self, run_id: str, after: str) -> list[StepEvent]:
        """Read the next events after entry `after`, without waiting for any."""
        stream = keys.RunKeys(run_id).events
        answer = await self._pipelining.send(
            "XREAD", "COUNT", EVENTS_AT_ONCE, "STREAMS", stream, after
        )
        return [event_of(*entry) for _, entries in streams_of(answer) for entry in entries]

    async def newer(self, seen: Mapping[str, str], *, block_s: float) -> dict[str, str]:
        """Wait for news of any of these runs, each seen up to an entry; returns how far news go."""
        streams = {keys.RunKeys(run_id).events: run_id for run_id in seen}
        answer = await self._redis.xread(
            {stream: seen[run_id] for stream, run_id in streams.items()},
            count=EVENTS_AT_ONCE,
            block=int(block_s * 1000),
        )
        return {streams[stream]: entries[-1][0] for stream, entries in streams_of(answer)}

    async def tip(self, run_id: str) -> tuple[str, str]:
        """Read a run's state ("" when it is not there) and its last event."""
        k = keys.RunKeys(run_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(k.run, "state")
            pipe.xrevrange(k.events, count=1)
            state, last = await pipe.execute()
        return state or "", last[0][0] if last else "0-0"

    async def ended(self, run_id: str, after: str) -> bool:
        """Whether nothing comes after this event: the run has ended with it, or is gone."""
        state, last = await self.tip(run_id)
        return state == "" or (state == "finished" and entry_order(after) >= entry_order(last))

    async def owner(self, run_id: str) -> tuple[str, str]:
        """Read whose a run is ("" for the command line's) and its kind ("" for one that is not)."""
        k = keys.RunKeys(run_id)
        owner, kind = await self._pipelining.send("HMGET", k.run, "owner", "kind")
        return owner or "", kind or ""


def entry_order(entry: str) -> tuple[int, int]:
    """Make the ids of a stream's entries comparable."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


def event_of(entry_id: str, fields: Mapping[str, str]) -> StepEvent:
    """Read one entry of a run's stream."""
    step = fields["step"]
    return StepEvent(
        id=entry_id,
        step=step,
        state=fields["state"],
        at_ms=int(fields["at"]),
        persona=StepName.parse(step).persona if step else None,
        note=fields.get("note", ""),
    )


def streams_of(answer: Any) -> list[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Accept XREAD's answer in RESP2's and in RESP3's nesting; streams without news are not in."""
    pairs = answer.items() if isinstance(answer, dict) else answer or []
    return [(name, flatten(entries)) for name, entries in pairs]


def flatten(entries: object) -> list[tuple[str, dict[str, str]]]:
    """Accept the entries of a stream in RESP2's and in RESP3's nesting."""
    flat: list[tuple[str, dict[str, str]]] = []
    for entry in entries if isinstance(entries, list) else []:
        if entry and isinstance(entry[0], list | tuple) and len(entry[0]) == 2:
            flat.extend(flatten(entry))
        else:
            flat.append((entry[0], entry[1]))
    return flat


def unknown_run(run_id: str) -> BadInputError:
    """Build the error for a run that the ledger does not know."""
    return BadInputError(
        f"no run {run_id!r} in the ledger (it may have expired)", hint="`castline runs` lists them"
    )

"""Events over HTTP: all of them, once, in order, wherever a follower goes on."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from producer.api.bells import Bells
from producer.api.events import events_of
from tasks.schemas.ledger import StoredDocument
from tasks.store import keys
from tests.unit.producer.api.conftest import Api, problem_in

pytestmark = pytest.mark.anyio


def events_in(answer: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """Read ids and data of the events of an answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "id" in fields:
            found.append((fields["id"], json.loads(fields["data"])))
    return found


async def ids_of(redis: Any, run: str) -> list[str]:
    """Read the ids of all events of a run from its stream."""
    return [entry for entry, _ in await redis.xrange(keys.RunKeys(run).events)]


async def settled(api: Api, run: str, step: str) -> None:
    """Let a step be done."""
    claim = await api.site.deps.ledger.claim(run, step)
    await api.site.deps.ledger.store(claim, StoredDocument(made_from="x", document={}))


async def test_a_run_that_has_ended_is_told_whole_and_the_stream_ends(api: Api, redis: Any) -> None:
    header = await api.caller()
    run = await api.run(header)
    await api.client.post(f"/runs/{run}/cancel", headers=header)
    events = events_in(await api.client.get(f"/runs/{run}/events", headers=header))
    assert [event_id for event_id, _ in events] == await ids_of(redis, run)
    assert events[0][1]["state"] == "running"
    assert (events[-1][1]["step"], events[-1][1]["state"]) == ("", "finished")


async def test_a_stream_goes_on_after_the_last_event_and_after_the_end_there_is_204(
    api: Api, redis: Any
) -> None:
    header = await api.caller()
    run = await api.run(header)
    await api.client.post(f"/runs/{run}/cancel", headers=header)
    ids = await ids_of(redis, run)
    for told, last in enumerate(ids[:-1], 1):
        resumed = {**header, "Last-Event-ID": last}
        events = events_in(await api.client.get(f"/runs/{run}/events", headers=resumed))
        assert [event_id for event_id, _ in events] == ids[told:]
    ended = {**header, "Last-Event-ID": ids[-1]}
    answer = await api.client.get(f"/runs/{run}/events", headers=ended)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("wrong", ["x", "1", "1-", "-1-1", "1-1 ", "9" * 40 + "-0", "$"])
async def test_a_last_event_id_that_is_none_is_refused(api: Api, wrong: str) -> None:
    header = {**await api.caller(), "Last-Event-ID": wrong}
    run = await api.run(header)
    problem_in(await api.client.get(f"/runs/{run}/events", headers=header), 422)


async def test_whoever_drops_after_every_event_gets_each_exactly_once(api: Api, redis: Any) -> None:
    run = await api.run(await api.caller())
    told: list[str] = []

    async def follow() -> None:
        """Take one event, drop, come back after it, until the run has ended."""
        while True:
            async for event in events_of(api.site, run, told[-1] if told else "0-0"):
                told.append(event.id)
                break
            else:
                return

    following = asyncio.create_task(follow())
    for step in ("p0.core", "p0.strategy"):
        await settled(api, run, step)
    await api.site.deps.ledger.cancel(run)
    async with asyncio.timeout(30):
        await following
    assert told == await ids_of(redis, run)


async def test_what_happens_is_told_to_all_who_follow(api: Api, redis: Any) -> None:
    run = await api.run(await api.caller())

    async def all_of(after: str) -> list[str]:
        return [event.id async for event in events_of(api.site, run, after)]

    [first] = await ids_of(redis, run)
    following = [asyncio.create_task(all_of(after)) for after in ("0-0", first)]
    await settled(api, run, "p0.core")
    await api.site.deps.ledger.cancel(run)
    async with asyncio.timeout(30):
        early, late = await asyncio.gather(*following)
    ids = await ids_of(redis, run)
    assert (early, late) == (ids, ids[1:])
    assert not api.site.bells._bells
    assert not api.site.bells._seen


async def test_a_retried_run_goes_on_after_its_end(api: Api, redis: Any) -> None:
    header = await api.caller()
    run = await api.run(header)
    ledger = api.site.deps.ledger
    await ledger.cancel(run)
    last = (await ids_of(redis, run))[-1]
    await api.client.post(f"/runs/{run}/retry", headers=header)
    await ledger.cancel(run)
    resumed = {**header, "Last-Event-ID": last}
    events = events_in(await api.client.get(f"/runs/{run}/events", headers=resumed))
    assert [event_id for event_id, _ in events] == (await ids_of(redis, run))[-len(events) :]
    assert events[-1][1]["state"] == "finished"


async def test_streams_end_when_the_instance_does_and_when_the_run_is_gone(
    api: Api, redis: Any
) -> None:
    header = await api.caller()
    run, other = await api.run(header), await api.run(header)

    async def all_of(name: str) -> int:
        return len([event async for event in events_of(api.site, name, "0-0")])

    await redis.delete(keys.RunKeys(other).run)
    assert await all_of(other) == 1
    following = asyncio.create_task(all_of(run))
    await asyncio.sleep(0)
    api.site.bells.close()
    async with asyncio.timeout(30):
        await following


async def test_a_key_follows_at_most_so_many_streams(api: Api) -> None:
    header, other = await api.caller(), await api.caller()
    run = await api.run(header)
    path = f"/runs/{run}/events"
    following = [asyncio.create_task(api.client.get(path, headers=header)) for _ in range(2)]
    async with asyncio.timeout(30):
        while sum(api.site.streams.values()) < 2:  # noqa: ASYNC110  # nobody tells of a stream
            await asyncio.sleep(0)
        refused = await api.client.get(path, headers=header)
        assert problem_in(refused, 429)["type"] == "urn:castline:too-many"
        theirs = await api.run(other)
        await api.site.deps.ledger.cancel(theirs)
        free = await api.client.get(f"/runs/{theirs}/events", headers=other)
        assert free.status_code == 200
        await api.site.deps.ledger.cancel(run)
        assert {answer.status_code for answer in await asyncio.gather(*following)} == {200}
    assert api.site.streams == {}


async def test_many_followers_cost_one_waiting_read() -> None:
    asked: list[dict[str, str]] = []
    news: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def newer(seen: dict[str, str], *, block_s: float) -> dict[str, str]:
        asked.append(dict(seen))
        return await news.get()

    bells = Bells(newer)
    ringing = asyncio.create_task(bells.ring())
    with bells.listen("a", "1-0") as one, bells.listen("a", "2-0") as two:
        with bells.listen("b", "0-0") as other:
            news.put_nowait({"a": "3-0"})
            await one.wait()
            assert two.is_set()
            assert not other.is_set()
        news.put_nowait({"a": "4-0", "b": "1-0"})
    bells.close()
    await ringing
    assert asked[0] == {"a": "1-0", "b": "0-0"}
    assert asked[1]["a"] == "3-0"

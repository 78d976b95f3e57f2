"""A submitter dies anywhere: the run is wholly there, or incomplete and finished by a retry."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from producer import submit as submitting
from producer.incomplete import (
    check_submitted,
    is_incomplete,
    lines_as_they_stand,
    remove,
    resubmit,
    standing_now,
)
from producer.plan import plan_pictures, plan_run
from producer.submit import submit
from tasks import dispatch
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.routing import LLM_QUEUES
from tasks.schemas.plan import Request, RunPlan, Source
from tasks.schemas.services import ServiceLine
from tasks.settings import Settings
from tasks.store import keys, submissions
from tasks.store.backlog import BacklogBook
from tasks.store.batch_calls import BatchCalls
from tasks.store.blobs import Blobs
from tasks.store.leases import LeaseKeeper
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader
from tasks.store.scripts import Scripts
from tasks.store.sessions import Sessions

RUN = "20261124-040000-abcd"
DEAD, ELSEWHERE = "n/999999999", "other-machine/1"
GPU = "gpu.n.0"
TEXTS = Request(
    sources=tuple(Source(label=f"s{i}", text="x") for i in range(3)),
    tweets=2,
    first_day="2026-12-01",
)
SEEN = TEXTS.model_copy(
    update={
        "sources": tuple(
            Source(label=f"s{i}", image_blob=f"sources/{RUN}/p{i}.png") for i in range(3)
        )
    }
)
UPLOADS = [(source.image_blob, b"png") for source in SEEN.sources]
DRAWN = Request(
    kind="images", sources=(Source(label="a"), Source(label="b")), images=True, renderer="tiny"
)
GIVEN = (({"text": "1"}, {"text": "2"}), ({"text": "3"},))


class KilledError(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis with workers that beat."""
    client = FakeAsyncRedis(decode_responses=True)
    seconds, _ = await client.time()
    worker = ServiceLine(
        name="w", pid=1, node="n", state="running", queues=(*LLM_QUEUES, GPU), provider="p",
        model="m", vision=True, seen_ms=(int(seconds) + 3600) * 1000,
    )  # fmt: skip
    await client.hset(keys.SERVICES, "w", worker.model_dump_json())
    yield client
    await client.aclose()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep what is sent; several rows make a script, and Redis has room."""
    messages: list[Any] = []
    monkeypatch.setattr(dispatch, "publish", lambda *given: messages.extend(given))
    monkeypatch.setattr(submissions, "ROWS_A_SCRIPT", 7)

    async def roomy(*_: Any, **__: Any) -> None:
        """Find room."""

    monkeypatch.setattr(submitting, "check_room", roomy)
    return messages


def deps_on(redis: Any, folder: Path, *, owner: str) -> Deps:
    """Wire up a process of this owner."""
    settings = Settings(home=folder, node="n", max_concurrent=2)
    ledger = Ledger(redis, owner=owner)
    return Deps(
        settings=settings,
        redis=redis,
        ledger=ledger,
        reader=RunReader(redis),
        backlog=BacklogBook(redis),
        blobs=Blobs(f"file://{folder}/blobs"),
        leases=LeaseKeeper(ledger),
        batch_calls=BatchCalls(redis, retention_s=60, grace_s=1),
        sessions=Sessions(redis),
    )


def killed_after(monkeypatch: pytest.MonkeyPatch, scripts: int) -> None:
    """Kill the process instead of running the ledger script after so many."""
    call, left = Scripts.call, iter([True] * scripts)

    async def once_more(self: Scripts, *args: Any, **kwargs: Any) -> Any:
        if not next(left, False):
            raise KilledError
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(Scripts, "call", once_more)


async def kill_while_submitting(
    redis: Any, folder: Path, plan: RunPlan, *, scripts: int, owner: str = DEAD, uploads: Any = ()
) -> bool:
    """Submit in a process that dies after so many scripts; False when it came to its end."""
    with pytest.MonkeyPatch.context() as patch:
        killed_after(patch, scripts)
        try:
            await submit(deps_on(redis, folder, owner=owner), plan, uploads=uploads)
        except KilledError:
            return True
    return False


async def whole(redis: Any) -> dict[str, Any]:
    """Read everything that makes a submitted run, but for times."""
    k = keys.RunKeys(RUN)
    fields = await redis.hgetall(k.run)
    return {
        "run": {name: fields[name] for name in fields if not name.endswith("ed_ms")},
        "rows": await redis.hgetall(k.rows),
        "state": await redis.hgetall(k.state),
        "needs": await redis.hgetall(k.needs),
        "after": await redis.hgetall(k.after),
        "held": await redis.lrange(k.held, 0, -1),
        "docs": await redis.hgetall(k.docs),
        "due": sorted(await redis.zrange(keys.DUE, 0, -1)),
        "runs": await redis.zrange(keys.RUNS, 0, -1),
    }


async def lasting(redis: Any) -> list[str]:
    """List the keys of runs that would stay for ever."""
    return [key for key in await redis.keys(f"{keys.PREFIX}:run:*") if await redis.ttl(key) < 0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("plan", "uploads"),
    [
        (plan_run(RUN, TEXTS), ()),
        (plan_run(RUN, SEEN), UPLOADS),
        (plan_pictures(RUN, DRAWN, GIVEN), ()),
    ],
    ids=["texts", "pictures to look at", "pictures to draw"],
)
async def test_a_run_whose_submitter_was_killed_anywhere_is_finished_by_a_retry(
    redis: Any, sent: list[Any], tmp_path: Path, plan: RunPlan, uploads: Any
) -> None:
    heartbeat = await redis.hgetall(keys.SERVICES)
    await submit(deps_on(redis, tmp_path, owner=DEAD), plan, uploads=uploads)
    expected, messages = await whole(redis), sent.copy()
    for scripts in range(100):
        await redis.flushall()
        await redis.hset(keys.SERVICES, mapping=heartbeat)
        sent.clear()
        retrier = deps_on(redis, tmp_path, owner="n/1")
        if not await kill_while_submitting(redis, tmp_path, plan, scripts=scripts, uploads=uploads):
            break
        assert await lasting(redis) == []
        lines = await lines_as_they_stand(retrier, await retrier.reader.runs())
        if not scripts:
            assert lines == []
            continue
        if lines[0].state != "incomplete":  # killed after it was opened: messages are upkeep's
            assert await whole(redis) == expected
            continue
        assert (sent, await redis.zcard(keys.DUE)) == ([], 0)
        snapshot = await retrier.reader.snapshot(RUN)
        assert standing_now(retrier, snapshot).state == "incomplete"
        with pytest.raises(BadInputError, match="is incomplete"):
            check_submitted(retrier, snapshot)
        await resubmit(retrier, snapshot)
        assert await whole(redis) == expected
        assert sent == messages
        assert await lasting(redis) == []
    assert scripts > 3
    assert await whole(redis) == expected


@pytest.mark.anyio
async def test_a_picture_that_never_reached_the_blob_store_is_named_and_the_run_can_be_removed(
    redis: Any, sent: list[Any], tmp_path: Path
) -> None:
    plan, retrier = plan_run(RUN, SEEN), deps_on(redis, tmp_path, owner="n/1")

    def torn() -> Any:
        yield UPLOADS[0]
        raise KilledError

    await kill_while_submitting(redis, tmp_path, plan, scripts=99, uploads=torn())
    with pytest.raises(BadInputError, match="picture of 's1' was not stored") as caught:
        await resubmit(retrier, await retrier.reader.snapshot(RUN))
    assert f"castline cancel {RUN}" in caught.value.hint
    assert await remove(retrier, RUN)
    assert not retrier.blobs.has(UPLOADS[0][0])
    assert await redis.keys("*") == [keys.SERVICES]


@pytest.mark.anyio
async def test_nobody_interferes_with_a_submitter_that_may_be_alive(
    redis: Any, sent: list[Any], tmp_path: Path
) -> None:
    plan, retrier = plan_run(RUN, TEXTS), deps_on(redis, tmp_path, owner="n/1")
    await kill_while_submitting(redis, tmp_path, plan, scripts=2, owner=ELSEWHERE)
    snapshot = await retrier.reader.snapshot(RUN)
    assert standing_now(retrier, snapshot).state == "submitting"
    with pytest.raises(BadInputError, match="is being submitted just now"):
        await resubmit(retrier, snapshot)
    until = f"{await retrier.ledger.now_ms() - 1} {ELSEWHERE}"
    await redis.hset(keys.RunKeys(RUN).run, "submitter", until)
    snapshot = await retrier.reader.snapshot(RUN)
    assert is_incomplete(retrier, snapshot)
    await resubmit(retrier, snapshot)
    assert (await retrier.reader.snapshot(RUN)).state == "running"


@pytest.mark.anyio
async def test_a_submitter_that_was_frozen_and_overtaken_writes_nothing_more(
    redis: Any, sent: list[Any], tmp_path: Path
) -> None:
    plan = plan_run(RUN, TEXTS)
    slow, quick = deps_on(redis, tmp_path, owner=DEAD), deps_on(redis, tmp_path, owner="n/1")
    await slow.ledger.submissions.begin(plan)
    await resubmit(quick, await quick.reader.snapshot(RUN))
    claim = await quick.ledger.claim(RUN, "p0.core")
    assert claim.verdict == "granted"
    before = await whole(redis)
    with pytest.raises(BadInputError, match="taken over"):
        await slow.ledger.submissions.write_rows(plan)
    with pytest.raises(BadInputError, match="taken over"):
        await slow.ledger.submissions.accept(RUN)
    with pytest.raises(BadInputError, match="submitted already"):
        await slow.ledger.submissions.begin(plan)
    assert await whole(redis) == before


@pytest.mark.anyio
async def test_a_run_under_way_is_never_removed(
    redis: Any, sent: list[Any], tmp_path: Path
) -> None:
    deps = deps_on(redis, tmp_path, owner="n/1")
    await submit(deps, plan_run(RUN, TEXTS))
    before = await whole(redis)
    assert not await remove(deps, RUN)
    assert await whole(redis) == before
    assert json.loads(before["run"]["request"])["tweets"] == 2

"""Submitting and fetching batches, on a real Valkey and against the simulated provider."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tasks import measures
from tasks.batches import BatchDesk
from tasks.deps import Deps, open_deps
from tasks.llm.batch_client import BatchClient
from tasks.llm.providers import Provider
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running
from tasks.schemas.batches import PendingCall
from tasks.schemas.limits import Limits
from tasks.schemas.plan import Request, RunPlan, Source, StepRow
from tasks.settings import read_settings

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
BODY = '{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'


def provider(base_url: str, *, max_batch: int = 1000) -> Provider:
    return Provider(
        name="llm",
        base_url=base_url,
        api_key=SecretStr(""),
        model="m",
        vision_model="",
        limits=Limits(),
        timeout_s=10,
        structured="json_schema",
        max_batch=max_batch,
    )


@dataclass
class Bench:
    """A ledger, a simulated provider, and runs whose steps each wait for one call."""

    deps: Deps
    base_url: str
    due: dict[str, list[str]] = field(default_factory=dict)
    clients: list[BatchClient] = field(default_factory=list)

    def client(self, served: Provider, kind: type[BatchClient] = BatchClient) -> BatchClient:
        """Open a client that is closed with the bench."""
        self.clients.append(kind(served, retry_scale=0.01))
        return self.clients[-1]

    async def parked(self, run_id: str, count: int) -> None:
        """Begin a run whose steps are all parked."""
        steps = tuple(
            StepRow(id=f"p{n}.core", kind="stage", item=f"p{n}", persona=n) for n in range(count)
        )
        request = Request(sources=(Source(label="x"),) * count, batch_api=True)
        await self.deps.ledger.write_plan(RunPlan(run_id=run_id, request=request, steps=steps))
        await self.deps.ledger.accept(run_id)
        for step in steps:
            claim = await self.deps.ledger.claim(run_id, step.id, made_from="h")
            call = PendingCall(key=f"{run_id}-{step.persona}", model="m", body=BODY)
            await self.deps.batch_calls.park(claim, "llm", [call], known_bytes=0)

    def desk(self, *, deps: Deps | None = None, client: Any = None, **fields: Any) -> BatchDesk:
        """Open a submitter, as a worker that begins to lead would."""
        served = provider(fields.pop("base_url", self.base_url), **fields)

        async def leads() -> bool:
            return True

        return BatchDesk(
            deps or self.deps,
            served,
            client or self.client(served),
            leads=leads,
            send=self.note_due,
        )

    def note_due(self, run_id: str, steps: list[str], request: Request, *, group: int) -> None:
        """Stand where messages are sent."""
        self.due.setdefault(run_id, []).extend(steps)

    async def until_quiet(self, desk: BatchDesk) -> None:
        """Do rounds until nothing is outstanding."""
        while await self.deps.batch_calls.runs("llm"):
            await desk.round()
            await asyncio.sleep(0.005)

    async def replies(self, run_id: str) -> dict[str, Any]:
        """Collect the answers of all steps of a run."""
        found: dict[str, Any] = {}
        for step in (await self.deps.reader.snapshot(run_id)).rows:
            found |= (await self.deps.batch_calls.replies(run_id, step))[0]
        return found

    async def stats(self) -> dict[str, Any]:
        """Ask the provider what it has seen."""
        async with httpx.AsyncClient() as http:
            return dict((await http.get(self.base_url.removesuffix("/v1") + "/stats")).json())


@contextlib.asynccontextmanager
async def bench(valkey_url: str, **options: Any) -> AsyncIterator[Bench]:
    settings = read_settings(redis_url=valkey_url, batch_linger_s=0.001, batch_poll_s=0.005)
    deps = await open_deps(settings)
    await deps.redis.flushdb()
    given = SimulatorOptions.model_validate({"batch_delay_s": 0.01, **options})
    async with running(given) as base_url:
        bed = Bench(deps, base_url)
        try:
            yield bed
        finally:
            for client in bed.clients:
                await client.close()
            await deps.close()


class CrashError(BaseException):
    """The process died here."""


class Crashing:
    """Passes calls on until the fatal one; it dies before that call, or right after it."""

    def __init__(self, inner: Any, count: Callable[[], bool], *, after: bool) -> None:
        self._inner, self._count, self._after = inner, count, after

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(member):
            return member

        async def call(*args: Any, **kwargs: Any) -> Any:
            fatal = self._count()
            if fatal and not self._after:
                raise CrashError
            result = await member(*args, **kwargs)
            if fatal:
                raise CrashError
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_moment_pays_nothing_twice_and_loses_no_answer(
    valkey_url: str, after: bool
) -> None:
    async with bench(valkey_url) as bed:
        moments = 0
        for fatal in range(200):
            run_id, counted = f"r{fatal}", 0

            def count(fatal: int = fatal) -> bool:
                nonlocal counted
                counted += 1
                return counted - 1 == fatal

            await bed.parked(run_id, 5)
            served = provider(bed.base_url)
            calls: Any = Crashing(bed.deps.batch_calls, count, after=after)
            client = Crashing(bed.client(served), count, after=after)
            deps = replace(bed.deps, batch_calls=calls)
            try:
                await bed.until_quiet(bed.desk(deps=deps, client=client, max_batch=3))
                break
            except CrashError:
                moments += 1
            await bed.until_quiet(bed.desk(max_batch=3))
            found = await bed.replies(run_id)
            assert sum(reply.completion is not None for reply in found.values()) == 5
        assert moments > 20
        stats = await bed.stats()
        assert stats["batches"]["calls"] == (moments + 1) * 5
        assert stats["duplicate_keys"] == 0


async def test_calls_go_in_chunks_of_the_providers_maximum_and_every_step_is_woken_once(
    valkey_url: str,
) -> None:
    measures.take()
    async with bench(valkey_url, batch_max=2) as bed:
        await bed.parked("r", 5)
        await bed.until_quiet(bed.desk(max_batch=2))
        assert (await bed.stats())["batches"] == {"created": 3, "completed": 3, "calls": 5}
        assert sorted(bed.due["r"]) == [f"p{n}.core" for n in range(5)]
        assert measures.take() == {"call.ok": 5}
        standing = await bed.deps.reader.batch("r")
        assert (standing.asked, standing.back, standing.pending, standing.submitted) == (5, 5, 0, 0)


async def test_a_batch_that_the_provider_refuses_fails_its_calls_and_says_why(
    valkey_url: str,
) -> None:
    async with bench(valkey_url, batch_max=2) as bed:
        await bed.parked("r", 3)
        await bed.until_quiet(bed.desk())
        replies = (await bed.replies("r")).values()
        assert all("too_many_tasks" in reply.error and not reply.again for reply in replies)
        assert sorted(bed.due["r"]) == ["p0.core", "p1.core", "p2.core"]


async def test_a_provider_without_the_endpoint_or_with_another_key_fails_the_calls(
    valkey_url: str,
) -> None:
    async with bench(valkey_url, api_key="secret") as bed:
        for run_id, base_url, status in (
            ("r1", f"{bed.base_url}/nowhere", 404),
            ("r2", bed.base_url, 401),
        ):
            await bed.parked(run_id, 1)
            await bed.until_quiet(bed.desk(base_url=base_url))
            (reply,) = (await bed.replies(run_id)).values()
            assert (reply.status, reply.again) == (status, False)


async def test_a_provider_that_is_away_is_waited_for(valkey_url: str) -> None:
    async with bench(valkey_url) as bed:
        await bed.parked("r", 2)
        away = bed.desk(base_url="http://127.0.0.1:9/v1")
        for _ in range(20):
            await away.round()
            await asyncio.sleep(0.005)
        assert (await bed.deps.reader.batch("r")).pending == 2
        await bed.until_quiet(bed.desk())
        assert (await bed.stats())["batches"]["calls"] == 2


async def test_lines_that_fail_for_a_while_are_asked_again_and_those_that_expire_too(
    valkey_url: str,
) -> None:
    for options in ({"faults": "5xx=1"}, {"batch_delay_s": 5, "batch_window_s": 0.02}):
        async with bench(valkey_url, **options) as bed:
            await bed.parked("r", 2)
            await bed.until_quiet(bed.desk())
            replies = (await bed.replies("r")).values()
            assert all(reply.again and reply.attempts == 1 for reply in replies)
            assert sorted(bed.due["r"]) == ["p0.core", "p1.core"]


async def test_cancelling_a_run_cancels_its_batches_and_nobody_elses(valkey_url: str) -> None:
    async with bench(valkey_url, batch_delay_s=2) as bed:
        await bed.parked("gone", 3)
        await bed.parked("stays", 3)
        desk = bed.desk()
        while len((await bed.deps.reader.batch("gone")).batches) == 0:
            await desk.round()
        await bed.deps.ledger.cancel("gone")
        await bed.until_quiet(desk)
        assert (await bed.stats())["batches"].get("cancelled") == 1
        done = (await bed.replies("stays")).values()
        assert all(reply.completion for reply in done)
        assert len(done) == 3
        assert "gone" not in bed.due


async def test_a_run_that_has_expired_is_left_alone(valkey_url: str) -> None:
    async with bench(valkey_url) as bed:
        await bed.parked("r", 1)
        for key in await bed.deps.redis.keys("castline:run:*"):
            await bed.deps.redis.delete(key)
        await bed.until_quiet(bed.desk())
        assert "created" not in (await bed.stats())["batches"]


async def test_of_two_batches_with_one_chunk_the_younger_is_cancelled(valkey_url: str) -> None:
    async with bench(valkey_url, batch_delay_s=1.5) as bed:
        await bed.parked("r", 2)

        class Twice(BatchClient):
            """Creates every batch twice and dies: the frozen leader of decision 0020."""

            async def create(self, file_id: str, *, chunk_id: str, run_id: str) -> Any:
                for _ in range(2):
                    await super().create(file_id, chunk_id=chunk_id, run_id=run_id)
                raise CrashError

        with pytest.raises(CrashError):
            await bed.until_quiet(bed.desk(client=bed.client(provider(bed.base_url), Twice)))
        await bed.until_quiet(bed.desk())
        assert all(reply.completion for reply in (await bed.replies("r")).values())
        batches = (await bed.stats())["batches"]
        assert (batches["completed"], batches["created"]) == (1, 2)

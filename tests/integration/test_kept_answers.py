"""What a step's calls cost is counted once by its run, however its holders end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.deps import Deps, open_deps
from tasks.errors import ProviderDownError
from tasks.execution import perform
from tasks.llm.scope import CallTally
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running
from tasks.schemas.calls import Message, StructuredCall
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import Request, RunPlan, Source, StepRow
from tasks.settings import read_settings
from tasks.store import keys
from tasks.work import asker

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
RUN, STEP = "r", "p0.knowledge"


class Harbour(Frozen):
    """A reply."""

    name: str


@contextlib.asynccontextmanager
async def worker(valkey_url: str, folder: Path) -> AsyncIterator[tuple[Deps, str]]:
    """Open what a worker works with, for one run of one step, and its simulated provider."""
    async with running(SimulatorOptions()) as base_url:
        deps = await open_deps(
            read_settings(
                redis_url=valkey_url,
                home=folder,
                lease_s=1,
                llm_base_url=base_url,
                llm_model="m",
            ),
            models=True,
        )
        await deps.redis.flushdb()
        row = StepRow(id=STEP, kind="stage", item="p0", persona=0)
        request = Request(sources=(Source(label="x"),))
        await deps.ledger.write_plan(RunPlan(run_id=RUN, request=request, steps=(row,)))
        await deps.ledger.accept(RUN)
        try:
            yield deps, base_url.removesuffix("/v1")
        finally:
            await deps.close()


async def hold(deps: Deps, *names: str, ending: BaseException | None = None) -> str:
    """Make a step's calls as one holder of it, who may end badly after them."""
    request = await deps.request(RUN)

    async def work(tally: CallTally) -> dict[str, Any]:
        ask = asker(deps, request, run_id=RUN, step=STEP, made_from="h", tally=tally)
        for name in names:
            messages = (Message(role="user", content=f"Harbour {name}?"),)
            await ask(StructuredCall(name=name, messages=messages, reply=Harbour))
        if ending is not None:
            raise ending
        return {}

    return await perform(deps, RUN, STEP, made_from="h", queue="llm", work=work)


@pytest.mark.parametrize(
    "ending", [ProviderDownError("gone"), asyncio.CancelledError()], ids=["fails", "dies"]
)
async def test_a_runs_counts_are_those_of_its_provider(
    valkey_url: str, tmp_path: Path, ending: BaseException
) -> None:
    async with worker(valkey_url, tmp_path) as (deps, address):
        with contextlib.suppress(asyncio.CancelledError):
            assert await hold(deps, "a", "b", ending=ending) == "postponed"
        assert await deps.redis.exists(keys.answers(RUN, STEP))
        async with asyncio.timeout(20):
            while await hold(deps, "a", "b", "c") != "done":  # noqa: ASYNC110  # until its lease ends
                await asyncio.sleep(0.1)
        counts = (await deps.reader.snapshot(RUN)).counters
        async with httpx.AsyncClient() as http:
            seen = (await http.get(f"{address}/stats")).json()
        assert (counts["calls_made"], seen["answered"]) == (3, 3)
        assert counts["tokens_prompt"] == seen["tokens"]["prompt"] > 0
        assert counts["tokens_completion"] == seen["tokens"]["completion"] > 0
        assert not await deps.redis.exists(keys.answers(RUN, STEP))

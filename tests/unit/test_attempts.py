"""Which failures of a step cost it an attempt, and where it goes when they are spent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from producer.quarantine import listed
from tasks.errors import (
    BlobsAwayError,
    CastlineError,
    DeadlineError,
    ProviderDownError,
    ProviderOpenError,
    RateLimitedError,
    RedisAwayError,
    RefusedCallError,
)
from tasks.execution import never_asked, perform
from tasks.llm.scope import CallTally
from tests.contracts.ledger import RUN, plan, states
from tests.unit.producer.test_submission import deps_on

STEP = "p0.core"


@pytest.mark.parametrize(
    "error",
    [
        ProviderOpenError("its breaker is open", wait_s=0),
        DeadlineError("it waited at the gate until its time was over", attempts=0),
    ],
)
def test_a_step_that_never_reached_its_provider_was_never_asked(error: CastlineError) -> None:
    assert never_asked(error, CallTally())


@pytest.mark.parametrize("error", [RedisAwayError, BlobsAwayError])
def test_a_store_that_is_away_costs_an_attempt_only_after_a_call(
    error: type[CastlineError],
) -> None:
    tally, away = CallTally(), error("it is away")
    assert never_asked(away, tally)
    tally.attempt(again=False)
    assert not never_asked(away, tally)


@pytest.mark.parametrize(
    "error",
    [
        DeadlineError("its time is over", attempts=2),
        RateLimitedError("429"),
        ProviderDownError("503"),
        CastlineError("internal"),
    ],
)
def test_a_step_whose_provider_was_asked_pays_with_an_attempt(error: CastlineError) -> None:
    assert not never_asked(error, CallTally())


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


async def fail_at(deps: Any, step: str, error: CastlineError, **options: int) -> str:
    """Do a step whose provider answers with an error; returns the outcome."""

    async def work(tally: CallTally) -> dict[str, Any]:
        tally.attempt(again=False)
        raise error

    return str(await perform(deps, RUN, step, made_from="h", queue="", work=work, **options))


@pytest.mark.anyio
async def test_a_step_whose_attempts_are_spent_is_in_quarantine_with_its_last_error(
    redis: Any, tmp_path: Path
) -> None:
    deps = deps_on(redis, tmp_path, owner="n/1")
    await deps.ledger.write_plan(plan())
    await deps.ledger.accept(RUN)
    outcomes = [await fail_at(deps, STEP, ProviderDownError(f"answer {n}")) for n in (1, 2, 3)]
    assert outcomes == ["postponed", "postponed", "failed"]
    [entry] = await listed(deps)
    assert (entry.id, entry.kind, entry.reason) == (f"{RUN}:{STEP}", "step", "answer 3")
    found = await states(redis)
    assert (found[STEP], found["p0.assemble"]) == ("quarantined", "failed")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "options"),
    [(RefusedCallError("400", status=400), {}), (ProviderDownError("503"), {"attempts": 1})],
    ids=["nothing helps", "its caller wants one attempt"],
)
async def test_a_step_that_failed_for_good_is_not_in_quarantine(
    redis: Any, tmp_path: Path, error: CastlineError, options: dict[str, int]
) -> None:
    deps = deps_on(redis, tmp_path, owner="n/1")
    await deps.ledger.write_plan(plan())
    await deps.ledger.accept(RUN)
    assert await fail_at(deps, STEP, error, **options) == "failed"
    assert (await states(redis))[STEP] == "failed"
    assert await listed(deps) == []

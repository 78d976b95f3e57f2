"""Which failures of a step cost it an attempt."""

import pytest

from tasks.errors import (
    BlobsAwayError,
    CastlineError,
    DeadlineError,
    ProviderDownError,
    ProviderOpenError,
    RateLimitedError,
    RedisAwayError,
)
from tasks.execution import never_asked
from tasks.llm.scope import CallTally


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

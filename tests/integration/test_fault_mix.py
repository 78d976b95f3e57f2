"""A provider of which two thirds of the requests fail: all calls end, each failure is counted."""

import asyncio

import httpx
import pytest

from tasks.errors import CastlineError
from tasks.llm.retrying import MOST
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.structured import ask_structured
from tasks.schemas.calls import Message, StructuredCall
from tasks.schemas.frozen import Frozen
from tasks.schemas.limits import Limits
from tasks.turns import Turns
from tests.calls import simulated

CALLS = 150
FAULTS = "429=0.3,5xx=0.2,hang=0.1,badjson=0.1"
MOST_ATTEMPTS = 1 + sum(MOST.values())

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


class Harbour(Frozen):
    """A reply."""

    name: str
    ships: int


async def test_every_call_ends_within_its_attempts_and_each_failure_is_counted_by_class() -> None:
    provider = {
        "limits": Limits(slots=50, breaker_failures=0),
        "timeout_s": 1.5,
    }  # a reply that no fault met takes less
    async with simulated(provider, faults=FAULTS, fault_wait_s=0) as caller:
        tallies = [CallTally() for _ in range(CALLS)]

        async def ask(number: int) -> str:
            call = StructuredCall(
                name="harbour",
                messages=(Message(role="user", content=f"Harbour {number}?"),),
                reply=Harbour,
            )
            scope = CallScope(key=str(number), tally=tallies[number])
            try:
                await ask_structured(caller.completer, call, scope, turns=Turns())
            except CastlineError as error:
                return type(error).__name__
            return "answered"

        ends = await asyncio.gather(*(ask(number) for number in range(CALLS)))
        address = caller.completer.provider.base_url.removesuffix("/v1")
        async with httpx.AsyncClient() as http:
            seen = (await http.get(f"{address}/stats")).json()
        failures = caller.completer.failures
        assert len(ends) == CALLS
        assert set(ends) <= {"answered", "ProviderDownError", "RateLimitedError", "BadReplyError"}
        assert ends.count("answered") > CALLS // 2
        assert failures["rate"] == seen["faults"]["429"] > 0
        assert failures["server"] == seen["faults"]["5xx"] > 0
        assert failures["network"] == seen["faults"]["hang"] > 0
        assert set(failures) == {"rate", "server", "network"}
        assert all(tally.usage.made <= 2 * MOST_ATTEMPTS for tally in tallies)
        asked = sum(tally.usage.made for tally in tallies)
        assert asked == seen["granted"] + seen["faults"]["429"] + seen["faults"]["5xx"]
        state = await caller.gate.state("p")
        assert state.slots_in_use == 0

"""Options and sizes of the fault tests: short ones for `make test`, long ones for `make chaos`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.farm import IN_HAND_S, Farm, farm_in
from tests.chaos.judge import LONGEST_IN_HAND_S

Start = Callable[..., Farm]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a scenario is: characters × tweets, calls at once, how long each takes.

    Times of the product are its defaults; `outlived` is for faults that must last past a lease.
    """

    personas: int
    tweets: int
    slots: int
    latency_s: float
    long: bool

    @property
    def slow(self) -> dict[str, int]:
        """Options of a farm whose run lasts over a minute in the long form, for repeated faults."""
        return {"slots": 6} if self.long else {}

    @property
    def outlived(self) -> dict[str, float]:
        """Options of a farm whose leases run out during the fault."""
        return {} if self.long else {"lease_s": 6}

    @property
    def in_hand_s(self) -> float:
        """How long an answer may be on its way into the ledger: longer beside other tests."""
        return IN_HAND_S if self.long else LONGEST_IN_HAND_S

    @property
    def calls(self) -> int:
        """Calls that a run makes, at least."""
        return self.personas * (10 + self.tweets)


SHORT = Size(personas=3, tweets=25, slots=8, latency_s=0.3, long=False)
LONG = Size(personas=10, tweets=60, slots=20, latency_s=0.6, long=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make chaos` gives."""
    parser.addoption(
        "--chaos-long", action="store_true", help="500 tweets and the issue's own times"
    )


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    """Choose the size."""
    return LONG if request.config.getoption("--chaos-long") else SHORT


@pytest.fixture
def farm(tmp_path: Path, size: Size) -> Iterator[Start]:
    """Give a function that starts a farm with a stack; everything ends with the test."""
    with ExitStack() as stack:

        def start(*, up: bool = True, **options: Any) -> Farm:
            given = {"slots": size.slots, "latency_s": size.latency_s, **options}
            given["in_hand_s"] = size.in_hand_s
            context: AbstractContextManager[Farm] = farm_in(tmp_path, **given)
            started = stack.enter_context(context)
            if up:
                started.up()
            return started

        yield start

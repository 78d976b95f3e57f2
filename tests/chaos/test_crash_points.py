"""A worker that dies between any two of its steps: what follows happens exactly once."""

from typing import get_args

import pytest

from tasks.crashing import CrashPoint
from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("point", get_args(CrashPoint))
def test_what_follows_a_crash_point_happens_exactly_once(
    farm: Start, size: Size, point: str
) -> None:
    times = 2 if size.long else 1  # a step whose worker dies three times goes to quarantine
    site = farm(CASTLINE_CRASH=point, CASTLINE_CRASH_TIMES=str(times))
    run_id = site.submit(
        personas=size.personas, tweets=size.tweets if size.long else size.tweets // 3
    )
    crashes = site.castline.folder / "home" / "crashes"
    for count in range(1, times + 1):
        wait_for(f"crash {count}", lambda n=count: len(list(crashes.glob("*"))) >= n, limit_s=300)
    site.faults_at += [death.stat().st_mtime for death in crashes.iterdir()]
    site.finished(run_id)
    verdict = judge(site, run_id, scenario=f"8 crash {point}")
    assert verdict.done == verdict.steps
    assert len(list(crashes.glob("*"))) == times

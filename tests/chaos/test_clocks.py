"""A worker whose clock is wrong by ten minutes: Redis time decides, so nobody notices."""

from pathlib import Path

import pytest

from tests.castline import ROOT, wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration

WRONG_CLOCK = """
import time
real = time.time
time.time = lambda: real() + ({offset_s})
"""


@pytest.mark.parametrize("offset_s", [600, -600], ids=["ahead", "behind"])
def test_a_worker_whose_clock_is_wrong_works_like_the_others(
    farm: Start, size: Size, tmp_path: Path, offset_s: int
) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(WRONG_CLOCK.format(offset_s=offset_s))
    site = farm(**size.outlived)
    wrong = site.worker(PYTHONPATH=f"{tmp_path / 'clock'}:{ROOT}")
    try:
        wait_for("it to listen", lambda: site.consumes(wrong.pid))
        run_id = site.submit(personas=size.personas, tweets=size.tweets)
        site.answered(size.calls // 3)
        frozen = site.supervised("llm")
        frozen.suspend()  # only its leases' end tells that it does nothing
        site.fault()
        site.finished(run_id)
    finally:
        wrong.terminate()
        wrong.wait(70)
    name = f"12 one clock ten minutes {'ahead' if offset_s > 0 else 'behind'}"
    verdict = judge(site, run_id, scenario=name)
    assert verdict.done == verdict.steps

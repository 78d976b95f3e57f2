"""Workers that are told to stop one after another under load: nothing is paid twice."""

import signal
import subprocess

import psutil
import pytest

from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.farm import Farm
from tests.chaos.judge import judge

pytestmark = pytest.mark.integration

GRACE_S = 70


def test_a_rolling_restart_of_all_workers_under_load_pays_nothing_twice(
    farm: Start, size: Size
) -> None:
    site = farm()
    site.supervised("llm")
    fleet = [site.worker() for _ in range(2)]
    try:
        for worker in fleet:
            wait_for("a worker to listen", lambda pid=worker.pid: site.consumes(pid))
        run_id = site.submit(personas=size.personas, tweets=2 * size.tweets)
        for turn in range(3 if size.long else 1):
            for place, worker in enumerate(fleet):
                site.answered(size.calls * (len(fleet) * turn + place + 1) // 10)
                stop(worker)
                assert worker.returncode == 0
                fleet[place] = site.worker()
            restart_supervised(site)
        site.finished(run_id)
    finally:
        for worker in fleet:
            stop(worker)
    verdict = judge(site, run_id, scenario="10 rolling restart")
    assert verdict.done == verdict.steps
    assert verdict.paid_twice == 0


def stop(worker: "subprocess.Popen[bytes] | psutil.Process") -> None:
    """Tell a worker to stop; fails when it takes longer than its grace."""
    worker.send_signal(signal.SIGTERM)
    worker.wait(GRACE_S)


def restart_supervised(site: Farm) -> None:
    """Tell the supervised worker to stop; returns once its successor is there."""
    stop(site.supervised("llm"))
    site.supervised("llm")

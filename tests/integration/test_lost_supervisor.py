"""A stack whose supervisor was killed with -9: its services end before others take their place."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tasks.stackfile import read_note
from tests.castline import Castline, wait_for
from workers.supervision import is_alive

pytestmark = pytest.mark.integration


def test_up_ends_what_a_killed_supervisor_left_and_goes_on_with_its_runs(tmp_path: Path) -> None:
    castline = Castline(
        tmp_path,
        {
            "CASTLINE_HOME": str(tmp_path / "home"),
            "CASTLINE_RESEND_S": "3",
            "CASTLINE_LEASE_S": "4",
        },
    )
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        note = read_note(tmp_path / "home")
        assert note is not None
        services = psutil.Process(note.supervisor_pid).children(recursive=True)
        run_id = castline.json("run", "--text", "A keeper of clocks.", "--personas", "5",
                               "--tweets", "10", "--detach")["run_id"]  # fmt: skip
        os.kill(note.supervisor_pid, signal.SIGKILL)
        assert all(is_alive(service) for service in services)
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        wait_for("the old services to end", lambda: not any(map(is_alive, services)))
        assert castline.json("watch", run_id)["state"] == "done"
    finally:
        castline.run("down")


def test_down_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    castline = Castline(tmp_path, {"CASTLINE_HOME": str(tmp_path / "home")})
    assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
    note = read_note(tmp_path / "home")
    assert note is not None
    services = psutil.Process(note.supervisor_pid).children(recursive=True)
    os.kill(note.supervisor_pid, signal.SIGKILL)
    done = castline.run("down")
    assert done.returncode == 0, done.stderr
    assert not any(map(is_alive, services))

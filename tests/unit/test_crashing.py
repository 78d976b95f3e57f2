"""Points at which the fault tests kill a worker; nothing of them is there for anybody else."""

import subprocess
import sys
from pathlib import Path

from tasks import crashing
from tasks.settings import Settings

DIES = """
import sys
from pathlib import Path
from tasks import crashing
crashing.arm("after_reply", times=1, folder=Path(sys.argv[1]))
crashing.here("before_ack")
print("alive", flush=True)
crashing.here("after_reply")
print("still alive", flush=True)
"""


def test_without_the_setting_a_point_is_an_empty_function() -> None:
    assert Settings().crash == ""
    assert crashing.here is crashing.nothing
    assert crashing.nothing.__code__.co_names == ()
    assert crashing.armed == ""


def test_a_process_dies_at_its_point_as_often_as_was_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert (first.returncode, first.stdout) == (-9, "alive\n")
    assert (second.returncode, second.stdout) == (0, "alive\nstill alive\n")

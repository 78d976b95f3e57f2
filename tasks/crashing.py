"""Ends this process at a named point, on purpose: so fault tests kill a worker in between steps.

Nothing here does anything unless CASTLINE_CRASH names a point: `here` is then an empty function.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Literal

CrashPoint = Literal["after_reply", "after_document", "before_next", "before_ack", "last_member"]

armed: str = ""


def nothing(point: CrashPoint) -> None:
    """Go on."""


here: Callable[[CrashPoint], None] = nothing


def arm(point: str, *, times: int, folder: Path) -> None:
    """Die with -9 at a point from now on, until processes that share `folder` did so `times`."""
    global armed, here
    folder.mkdir(parents=True, exist_ok=True)

    def die(at: CrashPoint) -> None:
        if at == point and is_due(folder, point, times):
            os.kill(os.getpid(), signal.SIGKILL)

    armed, here = point, die


def disarm() -> None:
    """Go on at every point again."""
    global armed, here
    armed, here = "", nothing


def is_due(folder: Path, point: str, times: int) -> bool:
    """Claim one of the deaths, if one is left: each has a file that is made once."""
    for number in range(times):
        try:
            (folder / f"{point}-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False

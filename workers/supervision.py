"""Starts, watches and stops the local stack's supervisord."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tasks.errors import BadInputError, ServiceAwayError
from tasks.settings import Settings, child_environment
from tasks.stackfile import StackNote, read_note, remove_note, write_note
from workers.stack import StackPlan, logs_folder, socket_path, write_configuration

STOP_LIMIT_S = 100.0
ENDED_AGAIN_S = 0.05
WAKE_WITHIN_S = 3.0
WAKE_AGAIN_S = 0.02


def start_stack(settings: Settings, plan: StackPlan) -> subprocess.Popen[bytes]:
    """Start supervisord and leave the note; the services may still be starting.

    It survives this process. Services whose supervisord was killed are ended first: two Valkeys
    must never write to one folder. Raises BadInputError when this CASTLINE_HOME has a stack
    already, ServiceAwayError when what was left of one does not end.
    """
    running = running_stack(settings.home_path)
    if running is not None:
        raise BadInputError(
            f"a stack runs in {settings.home} already (process {running.supervisor_pid})",
            hint="use it, or stop it with `castline down`",
        )
    end_orphans(settings.home_path)
    configuration = write_configuration(settings, plan)
    write_note(settings.home_path, plan.note)
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
        env=child_environment(
            CASTLINE_HOME=str(settings.home_path),
            CASTLINE_REDIS_URL=plan.note.redis_url,
            PYTHONUNBUFFERED="1",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    started = plan.note.model_copy(
        update={"supervisor_pid": process.pid, "started_at": time.time()}
    )
    write_note(settings.home_path, started)
    wake(plan.socket_path, within_s=WAKE_WITHIN_S)
    return process


def wake(path: Path, *, within_s: float) -> None:
    """Let a supervisord that listens here, or will, do what it has to: it looks once a second."""
    until = time.monotonic() + within_s
    while True:
        with socket.socket(socket.AF_UNIX) as caller, contextlib.suppress(OSError):
            caller.connect(str(path))
            return
        if time.monotonic() >= until:
            return
        time.sleep(WAKE_AGAIN_S)


def running_stack(home: Path) -> StackNote | None:
    """Return the note of a stack whose supervisord is alive, None otherwise."""
    note = read_note(home)
    if note is None or not is_supervisord(note.supervisor_pid):
        return None
    return note


def is_supervisord(pid: int) -> bool:
    """Whether this process is a supervisord, and not another that got its number."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(
            "supervisor" in part for part in process.cmdline()
        )
    except psutil.Error:
        return False


def end_orphans(home: Path) -> int:
    """End the services of this home whose supervisord is gone; returns how many there were.

    The ledger ends last, so that the workers can still write to it. Raises ServiceAwayError when
    they do not end.
    """
    ledgers = [process for process in psutil.process_iter() if is_ledger(process, home)]
    others = [process for process in psutil.process_iter() if is_service(process, home)]
    end_patiently(others)
    end_patiently(ledgers)
    return len(others) + len(ledgers)


def end_patiently(processes: list[psutil.Process]) -> None:
    """Ask processes to end and wait until they have; raises ServiceAwayError when they do not."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    if alive := outlasting(processes, STOP_LIMIT_S):
        raise ServiceAwayError(
            f"{len(alive)} processes of a stack whose supervisor is gone do not end",
            hint=f"end them yourself: {', '.join(str(process.pid) for process in alive)}",
        )


def outlasting(processes: list[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Wait until all of these have ended; returns those that had not when the time was over.

    psutil's own wait also waits until somebody has taken note of a death, which may be a second.
    """
    until = time.monotonic() + limit_s
    while alive := [process for process in processes if is_alive(process)]:
        if time.monotonic() >= until:
            break
        time.sleep(ENDED_AGAIN_S)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that nobody has waited for yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_service(process: psutil.Process, home: Path) -> bool:
    """Whether a process was started by a supervisord of this home."""
    try:
        environment = process.environ()
    except (psutil.Error, OSError):  # somebody else's, or gone
        return False
    return "SUPERVISOR_ENABLED" in environment and environment.get("CASTLINE_HOME") == str(home)


def is_ledger(process: psutil.Process, home: Path) -> bool:
    """Whether a process is the Valkey of this home; its environment is empty, its folder tells."""
    try:
        return process.name() == "valkey-server" and process.cwd() == str(home / "valkey")
    except (psutil.Error, OSError):  # somebody else's, or gone
        return False


def stop_stack(home: Path) -> bool:
    """Stop the stack of this home and wait until nothing of it is left; False when none ran.

    Raises ServiceAwayError when it does not end within its time.
    """
    note = running_stack(home)
    if note is None:
        orphans = end_orphans(home)
        remove_note(home)
        return orphans > 0
    family = [psutil.Process(note.supervisor_pid)]
    family += family[0].children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.kill(note.supervisor_pid, signal.SIGTERM)
        wake(socket_path(home), within_s=0)
    if alive := outlasting(family, STOP_LIMIT_S):
        raise ServiceAwayError(
            f"{len(alive)} processes of the stack did not end: {[p.pid for p in alive]}",
            hint=f"look into {logs_folder(home)}",
        )
    remove_note(home)
    return True

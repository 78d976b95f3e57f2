"""A worker whose process is gone gives back what it held; nobody else does."""

import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.gate import keys as gate_keys
from tasks.presence import Presence, pid_space
from tasks.schemas.services import ServiceLine
from tasks.settings import Settings
from tasks.store import keys
from tasks.store.ledger import Ledger
from tests.castline import ROOT
from tests.contracts.ledger import RUN, plan
from workers.departed import is_gone, take_over

SPACE = "this kernel"
HIDDEN = "mount -t proc -o hidepid=2 proc /proc && exec {python} -c '{code}' {pid}"
AS_NOBODY = """
import os, sys
from tests.unit.test_departed import SPACE, is_gone, line
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(os.path.exists("/proc/" + sys.argv[1]), is_gone(line(int(sys.argv[1])), SPACE))
"""


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


def ended_pid() -> int:
    """Have a process id that nobody has any more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def line(pid: int, *, space: str = SPACE) -> ServiceLine:
    """Describe an LLM worker."""
    name = f"llm-{pid}@n"
    return ServiceLine(
        name=name, pid=pid, pid_space=space, holder=f"n/{pid}/a", node="n", state="running"
    )


def test_only_a_process_that_we_would_see_is_known_to_be_gone() -> None:
    gone = ended_pid()
    assert is_gone(line(gone), SPACE)
    assert not is_gone(line(os.getpid()), SPACE)
    assert not is_gone(line(gone, space="another machine"), SPACE)
    assert not is_gone(line(gone, space=""), "")


def test_a_process_that_ended_and_was_not_waited_for_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # it has closed its end: it ends now
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(line(process.pid), SPACE)
    process.communicate()


def test_a_process_of_another_user_that_proc_hides_is_not_gone() -> None:
    script = HIDDEN.format(python=shlex.quote(sys.executable), code=AS_NOBODY, pid=os.getpid())
    command = ["unshare", "--mount", "sh", "-c", script]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"/proc cannot be hidden here: {error}")
    if done.stderr.startswith(("unshare:", "mount:")):
        pytest.skip(f"/proc cannot be hidden here, run this test as root: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False False\n"


@pytest.mark.anyio
async def test_a_departed_workers_leases_and_slots_come_back_and_a_live_ones_stay(
    redis: Any,
) -> None:
    ledger, alive = Ledger(redis, owner="n/1"), line(os.getpid())
    dead = line(ended_pid()).model_copy(update={"holder": ledger.holder})
    for worker in (dead, alive):
        await redis.hset(keys.SERVICES, worker.name, worker.model_dump_json())
    await ledger.write_plan(plan())
    await ledger.accept(RUN)
    assert (await ledger.claim(RUN, "p0.core")).verdict == "granted"
    slots = {f"{dead.holder}:1": 1e15, f"{dead.holder}:2": 1e15, f"{alive.holder}:3": 1e15}
    await redis.sadd(gate_keys.PROVIDERS, "p")
    for where in (gate_keys.slots("p"), gate_keys.run_slots("p", RUN)):
        await redis.zadd(where, slots)
    here: Any = SimpleNamespace(redis=redis, ledger=ledger)
    await take_over(here, SPACE)
    due = await redis.zrangebyscore(keys.DUE, "-inf", await ledger.now_ms())
    assert due == [f"{RUN} p0.core"]
    for where in (gate_keys.slots("p"), gate_keys.run_slots("p", RUN)):
        assert await redis.zrange(where, 0, -1) == [f"{alive.holder}:3"]
    assert await redis.hkeys(keys.SERVICES) == [alive.name]


@pytest.mark.anyio
@pytest.mark.skipif(not pid_space(), reason="no /proc here")
async def test_a_worker_says_whose_process_ids_it_speaks_of(redis: Any, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, node="n")
    await Presence(redis, settings, name="llm-1@n", holder="n/1/a").beat()
    told = ServiceLine.model_validate_json(await redis.hget(keys.SERVICES, "llm-1@n"))
    assert (told.pid_space, told.holder) == (pid_space(), "n/1/a")

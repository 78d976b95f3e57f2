"""The power fails: everything is killed at once, and `up` alone lets the run go on to its end."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tasks.stackfile import read_note
from tests.chaos.conftest import Size
from tests.chaos.farm import MODEL, Castline, Farm, Store, provider_in
from tests.chaos.judge import judge
from workers.supervision import outlasting

pytestmark = pytest.mark.integration


class StackStore(Store):
    """The Valkey that belongs to the local stack: `up` starts it, on another port each time."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._home = home

    @property
    def url(self) -> str:
        """Where it listens now."""
        note = read_note(self._home)
        assert note is not None
        return note.redis_url


def everything_of(home: Path) -> list[psutil.Process]:
    """List the supervisor and all that it has started: Valkey, workers, upkeep."""
    note = read_note(home)
    assert note is not None
    supervisor = psutil.Process(note.supervisor_pid)
    return [supervisor, *supervisor.children(recursive=True)]


def test_a_run_goes_on_by_itself_after_everything_was_killed_at_once(
    tmp_path: Path, size: Size
) -> None:
    home = tmp_path / "home"
    options = ("--latency", str(size.latency_s), "--slots", str(size.slots))
    with provider_in(tmp_path, *options) as provider:
        castline = Castline(
            tmp_path,
            {
                "CASTLINE_HOME": str(home),
                "CASTLINE_LLM_BASE_URL": provider.base_url,
                "CASTLINE_LLM_MODEL": MODEL,
                "MAX_CONCURRENT": str(size.slots),
            },
        )
        site = Farm(castline, StackStore(home), provider, in_hand_s=size.in_hand_s)
        try:
            site.up()
            kept = site.store.client().config_get("append*")
            assert (kept["appendonly"], kept["appendfsync"]) == ("yes", "always")
            run_id = site.submit(personas=size.personas, tweets=size.tweets)
            times = 3 if size.long else 1
            for loss in range(times):
                site.answered(size.calls * (loss + 1) // (times + 2))
                processes = everything_of(home)
                assert len(processes) >= 4
                for process in processes:
                    os.kill(process.pid, signal.SIGKILL)
                site.fault()
                assert outlasting(processes, 30) == []
                site.up()
                recovery_s = site.working_again(limit_s=120)
            site.finished(run_id)
            verdict = judge(site, run_id, scenario="13 power loss", recovery_s=recovery_s)
            assert verdict.done == verdict.steps
            assert castline.json("watch", run_id)["state"] == "done"
        finally:
            site.down()

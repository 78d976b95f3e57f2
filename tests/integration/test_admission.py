"""A cluster with too much to do refuses another run, says for how long, and takes it afterwards."""

from pathlib import Path

import pytest

from tests.castline import Castline, free_port, wait_for

pytestmark = pytest.mark.integration

BRIEF = ("--text", "A keeper of clocks.")


def test_a_run_past_the_mark_is_refused_until_the_queue_is_shorter(tmp_path: Path) -> None:
    port = free_port()
    castline = Castline(
        tmp_path,
        {
            "CASTLINE_HOME": str(tmp_path / "home"),
            "CASTLINE_LLM_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "CASTLINE_LLM_MODEL": "away-until-asked-for",
            "CASTLINE_QUEUE_HIGH_CALLS": "10",
            "CASTLINE_QUEUE_MOST_CALLS": "30",
        },
    )
    provider = None
    batch = ("run", *BRIEF, "--tweets", "1", "--priority", "batch")
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        assert castline.json("status")["load"]["state"] == "low"
        night = castline.json(*batch, "--personas", "3", "--detach")["run_id"]

        refused = castline.run(*batch, "--json")
        assert refused.returncode == 69
        assert refused.stdout == ""
        assert "overloaded: 39 model calls are queued, about" in refused.stderr
        assert "CASTLINE_QUEUE_MOST_CALLS (now 30)" in refused.stderr
        assert [run["run_id"] for run in castline.json("runs")["runs"]] == [night]

        asked = castline.json("run", *BRIEF, "--tweets", "1", "--detach")["run_id"]
        load = castline.json("status")["load"]
        assert (load["state"], load["interactive_state"]) == ("overloaded", "high")
        assert (load["queued_calls"], load["interactive_calls"]) == (52, 13)
        assert "load overloaded: 52 model calls" in castline.run("status").stdout

        second = castline.run("run", *BRIEF, "--tweets", "1", "--detach")
        assert second.returncode == 0
        assert "13 model calls are queued, about" in second.stderr
        assert "this run waits its turn" in second.stderr

        provider = castline.start("simulate", "--port", str(port), "--latency", "0.02")
        for run_id in (night, asked):
            assert castline.json("watch", run_id)["state"] == "done"
        wait_for("the queue to drain", lambda: not castline.json("status")["load"]["queued_calls"])
        assert castline.json(*batch)["state"] == "done"
    finally:
        castline.run("down")
        if provider is not None:
            provider.terminate()
            provider.communicate()

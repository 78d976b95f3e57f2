"""A step that its provider fails again and again waits in quarantine, until somebody decides."""

from pathlib import Path

import pytest

from tests.calls import simulated_server
from tests.castline import Castline, free_port

pytestmark = pytest.mark.integration


def test_steps_in_quarantine_are_shown_dropped_and_sent_again(tmp_path: Path) -> None:
    port = free_port()
    castline = Castline(
        tmp_path,
        {
            "CASTLINE_HOME": str(tmp_path / "home"),
            "CASTLINE_LLM_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "CASTLINE_LLM_MODEL": "busy-for-a-while",
            "CASTLINE_STEP_ATTEMPTS": "1",
            "CASTLINE_RETRY_SCALE": "0.01",
        },
    )
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        with simulated_server(port=port, faults="429=1", fault_wait_s=0):
            failed = castline.run("run", "--text", "A keeper of clocks.", "--personas", "3",
                                  "--tweets", "2", "--out", "out")  # fmt: skip
        assert failed.returncode == 1, failed.stderr
        entries = castline.json("quarantine", "list")["entries"]
        run_id = entries[0]["place"].split()[0]
        first, second, third = (f"{run_id}:p{persona}.core" for persona in range(3))
        assert {entry["id"] for entry in entries} == {first, second, third}
        assert castline.json("status")["quarantine"]["steps"] == 3
        shown = castline.run("quarantine", "show", second)
        assert "429" in shown.stderr

        dropped = castline.json("quarantine", "drop", first, "--yes")
        assert dropped == {"messages": [], "steps": [first]}
        with simulated_server(port=port, latency_s=0.02):
            again = castline.json("quarantine", "retry", second)
            assert again == {"messages": [], "steps": [second]}
            partly = castline.json("watch", run_id, code=1)
            assert partly["personas"] == {"total": 3, "done": 1, "failed": 2}
            assert castline.json("quarantine", "list")["entries"][0]["id"] == third
            assert castline.json("quarantine", "retry", "--all")["steps"] == [third]
            assert castline.json("watch", run_id, code=1)["personas"]["done"] == 2
            assert castline.json("quarantine", "list")["entries"] == []
            whole = castline.json("retry", run_id)
        assert whole["state"] == "done"
        assert whole["tweets"] == {"total": 6, "done": 6, "failed": 0}
    finally:
        castline.run("down")

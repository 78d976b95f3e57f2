"""A provider that is away costs no step its attempts: work is put off and goes on by itself."""

from pathlib import Path

import pytest

from tests.castline import Castline, free_port, wait_for

pytestmark = pytest.mark.integration


def test_a_run_outlasts_an_outage_of_its_provider(tmp_path: Path) -> None:
    port = free_port()
    castline = Castline(
        tmp_path,
        {
            "CASTLINE_HOME": str(tmp_path / "home"),
            "CASTLINE_LLM_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "CASTLINE_LLM_MODEL": "away-for-a-while",
        },
    )
    provider = None
    try:
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        run_id = castline.json("run", "--text", "A keeper of clocks.", "--personas", "12",
                               "--tweets", "1", "--detach")["run_id"]  # fmt: skip
        wait_for(
            "the breaker to open",
            lambda: castline.json("limits")["providers"][0]["breaker"] != "closed",
        )
        provider = castline.start("simulate", "--port", str(port), "--latency", "0.05")
        done = castline.json("watch", run_id)
        assert done["state"] == "done"
        assert done["personas"] == {"total": 12, "done": 12, "failed": 0}
        assert castline.json("limits")["providers"][0]["breaker"] == "closed"
    finally:
        castline.run("down")
        if provider is not None:
            provider.terminate()
            provider.communicate()

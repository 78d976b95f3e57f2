"""Providers of castline.toml, from the command line to the documents."""

import json
from pathlib import Path

import pytest

from tests.castline import Castline, free_port, wait_for

pytestmark = pytest.mark.integration


def test_a_run_is_written_by_a_provider_that_speaks_anthropics_dialect(tmp_path: Path) -> None:
    port = free_port()
    castline = Castline(tmp_path, {"CASTLINE_HOME": str(tmp_path / "home")})
    (tmp_path / "castline.toml").write_text(
        f"""
        [providers.claude]
        preset = "anthropic"
        base_url = "http://127.0.0.1:{port}/v1"
        api_key = "k"
        model = "haiku"
        """
    )
    provider = castline.start(
        "simulate", "--port", str(port), "--latency", "0.02", "--api-key", "k"
    )
    try:
        wait_for(
            "the provider to answer",
            lambda: castline.json("doctor", "--live", code=1)["providers"][0]["well"],
        )
        assert castline.run("up", "--detach", "--gpus", "0", "--no-flower").returncode == 0
        done = castline.json("run", "--text", "A keeper of clocks.", "--personas", "1",
                             "--tweets", "3", "--out", "out")  # fmt: skip
        assert done["state"] == "done"
        assert done["calls"]["retried"] == 0
        tweets = json.loads(next((tmp_path / "out").glob("*/tweets.json")).read_text())
        assert {tweet["model"] for tweet in tweets["tweets"]} == {"haiku"}
        assert castline.json("limits")["providers"][0]["slots"] == 5
    finally:
        castline.run("down")
        provider.terminate()
        provider.communicate()


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[providers.openai]\nmodle = 'x'", "providers.openai.modle"),
        ("[providers.mine]\npreset = 'grok'\nmodel = 'x'", "providers.mine.preset"),
        ("provider = 'opnai'", "opnai"),
        ("[providers.groq]\nmodel = 'x'", "GROQ_API_KEY"),
    ],
)
def test_a_malformed_provider_stops_the_program_and_is_named(
    tmp_path: Path, toml: str, named: str
) -> None:
    (tmp_path / "castline.toml").write_text(toml)
    castline = Castline(tmp_path, {"CASTLINE_HOME": str(tmp_path / "home"), "GROQ_API_KEY": ""})
    done = castline.run("up", "--detach")
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr

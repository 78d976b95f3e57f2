"""`doctor --live`: one call to each configured provider, whatever becomes of the others."""

from pathlib import Path

import pytest

from producer.probing import probed
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running
from tasks.settings import read_settings
from tests.castline import free_port

pytestmark = pytest.mark.anyio


def configure(toml: str) -> None:
    """Write castline.toml into this folder."""
    Path("castline.toml").write_text(toml)


async def test_every_provider_is_called_once_and_a_failure_names_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    async with running(SimulatorOptions(latency_s=0, api_key="k")) as url:
        configure(
            f"""
            provider = "good"
            [providers.good]
            base_url = "{url}"
            api_key = "k"
            model = "m"
            [providers.claude]
            preset = "anthropic"
            base_url = "{url}"
            api_key = "k"
            model = "haiku"
            [providers.stranger]
            base_url = "{url}"
            api_key = "sk-wrong"
            model = "m"
            [providers.away]
            base_url = "http://127.0.0.1:{free_port()}/v1"
            model = "m"
            [providers.groq]
            model = "m"
            """
        )
        probes = {probe.name: probe for probe in await probed(read_settings())}
    assert {name for name, probe in probes.items() if probe.well} == {"good", "claude"}
    assert probes["claude"].model == "haiku"
    assert "refuses the key" in probes["stranger"].error
    assert probes["stranger"].hint == "check CASTLINE_PROVIDERS__STRANGER__API_KEY"
    assert probes["groq"].hint == "set GROQ_API_KEY"
    assert "127.0.0.1" in probes["away"].hint
    assert "sk-wrong" not in repr(probes)

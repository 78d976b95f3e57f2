"""The examples and the code in docs/client.md run as they are, on the simulated provider."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.calls import simulated_server
from tests.castline import OURS, ROOT

PAGE = (ROOT / "docs" / "client.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["client_sync.py", "client_async.py"])
def test_an_example_runs_as_it_is(name: str, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    with simulated_server() as base_url:
        given = {
            "PYTHONPATH": str(ROOT),
            "CASTLINE_LLM_BASE_URL": base_url,
            "CASTLINE_LLM_MODEL": "m",
        }
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / name)],
            cwd=tmp_path,
            env=kept | given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_documentation_runs_as_it_is(
    snippet: str, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated_server() as base_url:
        monkeypatch.setenv("CASTLINE_LLM_BASE_URL", base_url)
        monkeypatch.setenv("CASTLINE_LLM_MODEL", "m")
        names: dict[str, Any] = {"__name__": "snippet"}
        exec(compile(snippet, "docs/client.md", "exec"), names)  # noqa: S102 our own page
        if "main" in names:
            asyncio.run(names["main"]())


def test_the_documentation_shows_something() -> None:
    assert len(SNIPPETS) >= 5

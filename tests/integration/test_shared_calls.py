"""Askers in several processes who ask the same share one real call, whoever of them dies."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.castline import ROOT, Castline, free_port, wait_for

pytestmark = pytest.mark.integration

EACH = 25


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    """Start a provider that takes two seconds for a reply; yields its address."""
    port = free_port()
    castline = Castline(tmp_path, {})
    process = castline.start("simulate", "--port", str(port), "--latency", "2")
    url = f"http://127.0.0.1:{port}"
    wait_for("the provider to answer", lambda: stats(url, or_none=True))
    yield url
    process.terminate()
    process.communicate()


def stats(url: str, *, or_none: bool = False) -> dict[str, Any] | None:
    """Read what the provider has seen."""
    try:
        return dict(httpx.get(f"{url}/stats").json())
    except httpx.TransportError:
        if or_none:
            return None
        raise


def askers(url: str, redis_url: str) -> "subprocess.Popen[str]":
    """Start a process of askers and wait until all of them have asked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.askers", f"{url}/v1", redis_url, str(EACH)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asking\n"
    return process


def answers(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the end and read what the askers got."""
    assert process.stdout is not None
    with process:
        out = process.stdout.read()  # `communicate` loses what came along with the first line
    assert process.returncode == 0
    return dict(json.loads(out))


@pytest.mark.anyio
async def test_askers_of_three_processes_make_one_call(
    provider: str, redis: Any, valkey_url: str
) -> None:
    processes = [askers(provider, valkey_url) for _ in range(3)]
    got = [answers(process) for process in processes]
    assert [g["answers"] for g in got] == [EACH] * 3
    assert len({text for g in got for text in g["texts"]}) == 1
    seen = stats(provider)
    assert seen is not None
    assert seen["granted"] == 1
    assert sum(g["made"] for g in got) == 1
    assert sum(g["cached"] for g in got) == 3 * EACH - 1
    tokens = {kind: sum(g[f"{kind}_tokens"] for g in got) for kind in ("prompt", "completion")}
    assert tokens == seen["tokens"]


@pytest.mark.anyio
async def test_when_the_calling_process_is_killed_one_of_the_others_calls(
    provider: str, redis: Any, valkey_url: str
) -> None:
    leading = askers(provider, valkey_url)
    wait_for("its call to leave", lambda: (stats(provider) or {})["in_flight"] == 1)
    leading.kill()
    leading.communicate()
    waiting = [askers(provider, valkey_url) for _ in range(2)]
    got = [answers(process) for process in waiting]
    assert [g["answers"] for g in got] == [EACH] * 2
    assert sum(g["made"] for g in got) == 1
    assert (stats(provider) or {})["granted"] == 2

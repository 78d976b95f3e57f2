"""Clients that share a Redis share the provider's limits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.errors import CastlineError, ServiceAwayError
from tasks.llm.client import LLMClient
from tests.calls import simulated_server
from tests.castline import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work without anybody's castline.toml."""
    monkeypatch.chdir(tmp_path)


def test_clients_of_one_redis_never_call_more_at_once_than_the_clusters_slots(
    redis: Any, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASTLINE_REDIS_URL", valkey_url)
    monkeypatch.setenv("MAX_CONCURRENT", "3")
    with simulated_server(latency_s=0.02) as base_url, ThreadPoolExecutor(3) as threads:

        def ask(number: int) -> list[str | CastlineError]:
            with LLMClient(base_url=base_url, model="m", workers=10) as client:
                assert client.status()["gate"] == "redis"
                return client.batch(f"{number} {n}" for n in range(10))

        for answers in threads.map(ask, range(3)):
            assert all(isinstance(answer, str) for answer in answers)
        stats = httpx.get(base_url.removesuffix("/v1") + "/stats").json()
    assert stats["max_in_flight"] == 3


def test_without_its_redis_a_client_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASTLINE_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with (
        simulated_server() as base_url,
        LLMClient(base_url=base_url, model="m") as client,
    ):
        with pytest.raises(ServiceAwayError):
            client.chat("Hello")
        assert client.status()["requests"] == 0

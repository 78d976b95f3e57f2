"""What must hold in the compose file; its schema is checked by `make check`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
GPUS = {name: s for name, s in SERVICES.items() if name.startswith("gpu-")}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_restarts_and_says_whether_it_is_healthy(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_valkey_keeps_every_write_and_drops_no_key() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    for flag in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert flag in command
    assert "--requirepass" in command


def test_each_gpu_service_has_one_device_and_a_queue_of_its_own() -> None:
    devices, nodes = [], []
    for service in GPUS.values():
        [device] = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia"
        assert device["capabilities"] == ["gpu"]
        devices += device["device_ids"]
        nodes.append(service["environment"]["CASTLINE_NODE"])
    assert len(devices) == len(GPUS) == len(set(devices))
    assert len(set(nodes)) == len(GPUS)


def test_workers_have_time_to_end_what_they_do() -> None:
    seconds = {n: int(SERVICES[n]["stop_grace_period"].rstrip("s")) for n in ("llm", *GPUS)}
    assert seconds["llm"] >= 130
    assert all(seconds[name] > 660 for name in GPUS)


def test_secrets_come_from_the_environment_and_every_variable_is_documented() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert used <= documented
    for name in ("PASSWORD", "API_KEY", "AUTH"):
        for line in TEXT.splitlines():
            if f"{name}:" in line and "${" not in line:
                raise AssertionError(f"literal secret: {line.strip()}")


def test_what_is_required_stops_compose_with_a_message() -> None:
    for name in ("CASTLINE_REDIS_PASSWORD", "CASTLINE_FLOWER_AUTH", "CASTLINE_LLM_BASE_URL"):
        assert f"${{{name}:?" in TEXT

"""The commands of the container images, in a clean virtual environment without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
COMMANDS = {n: s["command"] for n, s in SERVICES.items() if "castline" in s.get("image", "")}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Castline's wheel with its pins, without the extras, into a new environment."""
    folder = tmp_path_factory.mktemp("clean")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(venv, check=True)
    [wheel] = folder.glob("castline-*.whl")
    install = [*pip, "--python", str(folder / "venv/bin/python"), "install", "--no-compile"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    return folder


def run(clean: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run something of the clean environment, far from the checkout."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CASTLINE_", "PYTHON"))}
    return subprocess.run(
        [str(clean / "venv/bin" / command[0]), *command[1:]],
        cwd=clean,
        env={**environment, "CASTLINE_HOME": str(clean / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_services_command_exists_with_its_options(clean: Path, name: str) -> None:
    options = [part for part in COMMANDS[name] if part.startswith("--")]
    words = [part for part in COMMANDS[name] if not part.startswith("--")]
    help_text = run(clean, "castline", *words[: 2 if words[0] == "worker" else 1], "--help")
    assert help_text.returncode == 0, help_text.stderr
    assert all(option in help_text.stdout for option in options)


def test_without_redis_a_worker_says_so_and_ends_with_69(clean: Path) -> None:
    done = run(clean, "castline", "worker", "llm")
    assert done.returncode == 69
    assert "CASTLINE_REDIS_URL" in done.stderr


def test_doctor_runs_and_names_what_is_missing(clean: Path) -> None:
    done = run(clean, "castline", "doctor", "--json")
    checks = {c["name"]: c for c in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert not checks["redis"]["well"]
    assert "torch" in checks["images"]["found"]


def test_the_producer_and_the_llm_worker_need_no_torch(clean: Path) -> None:
    done = run(clean, "python", "-c", "import producer.commands.whole, workers.llm, tasks.tweets")
    assert done.returncode == 0, done.stderr
    assert run(clean, "python", "-c", "import torch").returncode == 1


def test_the_wheel_holds_scripts_word_lists_and_page_templates(clean: Path) -> None:
    [wheel] = clean.glob("castline-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for ending in ("lua/claim.lua", "lua/exchange.lua", "english.txt", "index.html.j2"):
        assert any(name.endswith(ending) for name in names), ending

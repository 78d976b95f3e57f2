"""The API keeps to its OpenAPI description whatever schemathesis sends: no answer is a 5xx."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.api_client import Instance, api_on
from tests.castline import ROOT
from tests.chaos.farm import Farm, farm_in

pytestmark = pytest.mark.integration

# Rules between fields (one source for each character, roles that exist) are in no schema.
BEYOND_THE_SCHEMA = "positive_data_acceptance"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose model answers at once; no stream waits long for its run's end."""
    folder = tmp_path_factory.mktemp("fuzz")
    with farm_in(folder, latency_s=0, CASTLINE_API_STREAM_S="2") as started:
        started.up()
        yield started


@pytest.fixture(scope="module")
def api(farm: Farm) -> Iterator[Instance]:
    """Start an instance."""
    with api_on(farm.castline) as started:
        yield started


def fuzzed(api: Instance, *options: str) -> str:
    """Let schemathesis send what it can think of, each time the same; returns what it tells."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"),
            *("--seed", "7", "--generation-deterministic"),
            *("--workers", "2", "--request-timeout", "70", "--no-shrink", "--no-color"),
            *("--warnings", "off", "--exclude-checks", BEYOND_THE_SCHEMA, *options),
        ],
        cwd=api.log.parent,  # it leaves a folder of its own
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def statuses(api: Instance) -> set[str]:
    """Read from the access log which statuses there were."""
    return set(re.findall(r"castline\.api \S+ \S+ (\d{3}) ", api.log.read_text()))


def test_with_a_key_every_answer_is_one_that_the_description_has(farm: Farm, api: Instance) -> None:
    made = farm.castline.json("api-key", "create", "fuzz", "--rpm", "0", "--runs", "0")
    told = fuzzed(
        api,
        *("--header", f"Authorization: Bearer {made['key']}"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "3"),
    )
    described = httpx.get(f"{api.url}/openapi.json").json()["paths"]
    assert f"Tested: {sum(map(len, described.values()))}" in told
    assert {"200", "202", "404", "422"} <= statuses(api)
    assert not [status for status in statuses(api) if status >= "500"]
    assert "Traceback" not in api.log.read_text()


def test_without_a_key_nothing_but_health_opens(api: Instance) -> None:
    before = len(api.log.read_text().splitlines())
    fuzzed(api, "--phases", "coverage")
    lines = api.log.read_text().splitlines()[before:]
    opened = {line.split(" ")[5] for line in lines if re.search(r" 20\d ", line)}
    assert opened == {"/openapi.json", "/health", "/ready"}

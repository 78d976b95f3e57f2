"""The API keeps to its OpenAPI description whatever schemathesis sends: no answer is a 5xx."""

import json
import os
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
            # One thread: in CPython 3.11 two that call ast.parse, as hypothesis does, now and then
            # end in "SystemError: AST constructor recursion depth mismatch".
            *("--workers", "1", "--request-timeout", "70", "--no-shrink", "--no-color"),
            *("--warnings", "off", "--exclude-checks", BEYOND_THE_SCHEMA, *options),
        ],
        cwd=api.log.parent,  # it leaves a folder of its own
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answered(api: Instance) -> list[tuple[str, str]]:
    """Read path and status of every answer from the access log."""
    lines = [json.loads(line) for line in api.log.read_text().splitlines() if line[:1] == "{"]
    events = [line["event"].split(" ") for line in lines if line["logger"] == "castline.api"]
    return [(event[1], event[2]) for event in events]


def test_with_a_key_every_answer_is_one_that_the_description_has(farm: Farm, api: Instance) -> None:
    made = farm.castline.json("api-key", "create", "fuzz", "--rpm", "0", "--runs", "0")
    told = fuzzed(
        api,
        *("--header", f"Authorization: Bearer {made['key']}"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "3"),
    )
    described = httpx.get(f"{api.url}/openapi.json").json()["paths"]
    assert f"Tested: {sum(map(len, described.values()))}" in told
    statuses = {status for _, status in answered(api)}
    assert {"200", "202", "404", "422"} <= statuses
    assert not [status for status in statuses if status >= "500"]
    assert "Traceback" not in api.log.read_text()


def test_without_a_key_nothing_but_health_opens(api: Instance) -> None:
    before = len(answered(api))
    fuzzed(api, "--phases", "coverage")
    opened = {path for path, status in answered(api)[before:] if status.startswith("20")}
    assert opened == {"/openapi.json", "/health", "/ready"}

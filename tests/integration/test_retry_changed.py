"""`retry` on a real stack: what failed, what a changed prompt or model concerns, nothing else."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.castline import ROOT, Castline, wait_for
from tests.chaos.farm import Farm, farm_in

pytestmark = pytest.mark.integration

PERSONAS, TWEETS = 2, 3
BUMP = """
import dataclasses
from tasks.stages import {part} as stage
stage.STAGE = dataclasses.replace(stage.STAGE, version="next")
stage.ROLE += " Be brief."
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Run a stack with a run that has ended."""
    with farm_in(tmp_path_factory.mktemp("retry"), latency_s=0.02) as site:
        site.up()
        yield site


@pytest.fixture(scope="module")
def run_id(farm: Farm) -> str:
    """Make two characters and their tweets."""
    done = farm.castline.json(
        *("run", "--text", "A keeper of clocks.", "--personas", str(PERSONAS)),
        *("--tweets", str(TWEETS), "--out", "out"),
    )
    assert done["state"] == "done"
    return str(done["run_id"])


def restarted(farm: Farm, **variables: str) -> Castline:
    """Restart the stack with other variables; commands use them, too."""
    farm.down()
    farm.castline = replace(farm.castline, variables={**farm.castline.variables, **variables})
    farm.up()
    worker = farm.supervised("llm").pid
    wait_for("the new worker alone", lambda: llm_workers(farm) == {worker})
    return farm.castline


def llm_workers(farm: Farm) -> set[int]:
    """List the LLM workers that count as alive."""
    services = farm.castline.services()
    return {line["pid"] for name, line in services.items() if name.startswith("llm")}


def with_next_prompt(folder: Path, part: str) -> str:
    """Write what gives a stage another prompt version in every process; returns the PYTHONPATH."""
    site = folder / f"next-{part}"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BUMP.format(part=part))
    return f"{site}:{ROOT}"


def test_a_retry_of_a_run_without_failures_says_so_and_calls_nobody(
    farm: Farm, run_id: str
) -> None:
    before = farm.granted()
    for options in ((), ("--changed",), ("--dry-run",)):
        done = farm.castline.run("retry", run_id, *options)
        assert done.returncode == 0
        assert "Nothing to do" in done.stderr
    told = farm.castline.json("retry", run_id, "--changed")
    assert told["state"] == "done"
    assert told["due_again"]["steps"] == 0
    assert farm.granted() == before


def test_a_changed_prompt_redoes_its_stage_and_what_is_made_from_it_on_request(
    farm: Farm, run_id: str, tmp_path: Path
) -> None:
    client = farm.store.client()
    old = client.hgetall(f"castline:run:{run_id}:docs")
    castline = restarted(farm, PYTHONPATH=with_next_prompt(tmp_path, "strategy"))
    before = farm.granted()
    plain = castline.run("retry", run_id)
    assert plain.returncode == 0
    assert "Nothing to do" in plain.stderr
    assert f"castline retry {run_id} --changed" in plain.stderr
    expected = {
        **dict.fromkeys(("strategy", "examples", "assemble", "calendar", "collect"), PERSONAS),
        "tweet": PERSONAS * TWEETS,
    }
    dry = castline.json("retry", run_id, "--changed", "--dry-run")
    assert dry["dry_run"]
    assert dry["due_again"]["by_part"] == expected
    assert dry["due_again"]["changed"] == PERSONAS
    assert farm.granted() == before
    done = castline.json("retry", run_id, "--changed")
    assert done["state"] == "done"
    assert done["due_again"]["by_part"] == expected
    new = client.hgetall(f"castline:run:{run_id}:docs")
    redone = {step.partition(".")[2] for step in new if new[step] != old[step]}
    assert {"strategy", "examples", "assemble", "calendar"} <= redone
    assert not redone & {"core", "social", "authenticity", "visual", "knowledge"}
    assert set(new) == set(old)
    paid = farm.granted() - before
    assert done["calls"]["made"] == before + paid
    assert PERSONAS * (3 + TWEETS) <= paid <= dry["due_again"]["calls"] + PERSONAS * TWEETS
    assert castline.json("retry", run_id, "--changed")["due_again"]["steps"] == 0


def test_another_model_redoes_all_and_the_old_one_takes_back_what_was_put_aside(
    farm: Farm, run_id: str
) -> None:
    client = farm.store.client()
    old = client.hgetall(f"castline:run:{run_id}:docs")
    model = farm.castline.variables["CASTLINE_LLM_MODEL"]
    castline = restarted(farm, CASTLINE_LLM_MODEL="another-model")
    told = castline.json("retry", run_id, "--changed", "--dry-run")["due_again"]
    assert told["steps"] == len(client.hgetall(f"castline:run:{run_id}:state"))
    assert (told["changed"], told["failed"]) == (PERSONAS * (7 + 1 + TWEETS), 0)
    worker = farm.supervised("llm")
    wait_for("the worker to listen", lambda: farm.consumes(worker.pid))
    worker.send_signal(signal.SIGSTOP)  # the redo cannot get anywhere
    before = farm.granted()
    assert castline.run("retry", run_id, "--changed", "--detach").returncode == 0
    cancelled = castline.json("cancel", run_id)
    assert cancelled["cancelled_steps"] == told["steps"]
    farm.kill(worker)
    castline = restarted(farm, CASTLINE_LLM_MODEL=model)
    done = castline.json("retry", run_id)
    assert done["state"] == "done"
    assert client.hgetall(f"castline:run:{run_id}:docs") == old
    assert farm.granted() == before


def test_another_model_pays_every_step_once_more(farm: Farm, run_id: str) -> None:
    castline = restarted(farm, CASTLINE_LLM_MODEL="another-model")
    before = farm.granted()
    done = castline.json("retry", run_id, "--changed")
    assert done["state"] == "done"
    assert farm.granted() - before >= PERSONAS * (10 + TWEETS)
    models = {call["model"] for call in farm.provider.calls()[before:]}
    assert models == {"another-model"}
    assert castline.json("retry", run_id, "--changed")["due_again"]["steps"] == 0

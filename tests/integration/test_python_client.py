"""The Python client on real services: both faces ask, follow, wait, read, fetch and stop alike."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.client import AsyncCastline, Castline
from tasks.errors import BadInputError, ServiceAwayError
from tasks.settings import load_settings
from tests.castline import ROOT
from tests.chaos.farm import CARD, Farm, farm_in
from tests.sending import sending_to

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack, and let this process find it as a command does."""
    folder = tmp_path_factory.mktemp("client")
    with farm_in(folder, latency_s=0.05) as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASTLINE_HOME", started.castline.variables["CASTLINE_HOME"])
        with sending_to(started.store.url):
            load_settings.cache_clear()
            started.up()
            yield started
    load_settings.cache_clear()


def test_a_run_is_asked_for_followed_read_and_saved(farm: Farm, tmp_path: Path) -> None:
    with Castline() as castline:
        run = castline.run("A keeper of clocks.", "A night baker.", tweets=2)
        events = list(run.events())
        result = run.result()
        assert (events[0].state, events[-1].state) == ("running", "finished")
        assert run.wait() == result
        assert result.success
        assert [len(c.tweets) for c in result.characters] == [2, 2]
        assert all(tweet.text for c in result.characters for tweet in c.tweets)
        assert run.status().personas.done == 2
        again = castline.get(run.id)
        assert list(again.events(after=events[-1].id)) == []
        saved = run.save(tmp_path / "out")
        assert (saved / "index.html").exists()
        assert json.loads((saved / "run.json").read_text())["run_id"] == run.id
    assert farm.castline.json("status", run.id)["state"] == "done"


def test_a_cancelled_run_ends_and_is_no_success(farm: Farm, tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    card.write_text(json.dumps(CARD))
    with Castline() as castline:
        run = castline.run(cards=[card], tweets=200)
        run.cancel()
        result = run.wait(timeout_s=60)
        assert result.status.state == "cancelled"
        assert not result.success
        assert result.characters[0].name == "Mara Lind"


def test_who_waits_no_longer_leaves_the_run_alone(farm: Farm) -> None:
    with Castline() as castline:
        run = castline.run("A night baker.", tweets=40)
        with pytest.raises(TimeoutError):
            run.wait(timeout_s=0.01)
        run.cancel()
        run.wait()


def test_a_discussion_is_begun_followed_asked_and_ended(farm: Farm) -> None:
    with Castline() as castline:
        session = castline.discuss("Clock towers", roles=["critic"], rounds=1, user="ada")
        kinds = [event.kind for event in session.events()]
        assert kinds == ["state", "turn", "summary", "state"]
        assert session.result().success
        assert session.ask("And who winds them?") == 2
        seen = session.wait()
        assert [turn.round for turn in seen.turns] == [1, 2]
        with pytest.raises(BadInputError, match="no session"):
            castline.discussion(session.id, user="bob")
        long = castline.discuss("Clock towers", rounds=50, user="ada")
        long.cancel()
        assert long.wait(timeout_s=60).state == "cancelled"


def test_topics_are_analysed_in_rounds_and_told_as_document_000(farm: Farm) -> None:
    with Castline() as castline:
        analysis = castline.analyze(["Night trains", "Clock towers"], iterations=2, delay_s=0)
        events = [event.state for event in analysis.events() if not event.step]
        assert events == ["running", "finished"] * 2
        result = analysis.wait()
        assert result.success
        assert [r.topic for r in result.results] == ["Night trains", "Clock towers"] * 2
        assert all(r.analysis and not r.error_message for r in result.results)
        assert result.report()["summary"]["total_tasks"] == 4
        assert result.rounds[0].run_id == analysis.id


def test_an_analysis_without_end_ends_when_it_is_cancelled(farm: Farm) -> None:
    with Castline() as castline:
        analysis = castline.analyze(["Night trains"], iterations=0, delay_s=0)
        with pytest.raises(TimeoutError):
            analysis.wait(timeout_s=0.5)
        analysis.cancel()
        assert analysis.wait(timeout_s=60).rounds
        forgotten = castline.analyze(["Night trains"], iterations=0, delay_s=60)
    assert farm.castline.json("status", forgotten.id)["topics"]["total"] == 1


@pytest.mark.anyio
async def test_the_asynchronous_face_does_the_same(farm: Farm) -> None:
    async with AsyncCastline() as castline:
        run = await castline.run("A keeper of clocks.", tweets=0)
        states = [event.state async for event in run.events()]
        assert states[-1] == "finished"
        assert (await run.result()).success
        session = await castline.discuss("Bread", roles=["critic"], rounds=1, user="eve")
        assert (await session.wait()).success


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "nothing to make"),
        ({"briefs": ["/does/not/exist.md"]}, "does not exist"),
        ({"briefs": [__file__], "tweets": -1}, "tweets is -1"),
        ({"briefs": [__file__], "personas": 0}, "personas is 0"),
        ({"briefs": [__file__], "language": "fr"}, "'fr' is unknown"),
    ],
)
def test_what_cannot_be_asked_for_says_why(
    farm: Farm, arguments: dict[str, object], said: str
) -> None:
    with Castline() as castline, pytest.raises(BadInputError, match=said):
        castline.run(**arguments)  # type: ignore[arg-type]


def test_what_cannot_be_discussed_says_why(farm: Farm) -> None:
    with Castline() as castline:
        for arguments in ({"topic": " "}, {"topic": "x", "rounds": 0}):
            with pytest.raises(BadInputError):
                castline.discuss(**arguments)  # type: ignore[arg-type]
        with pytest.raises(BadInputError, match="topic 2 is empty"):
            castline.analyze(["a", " "])
        with pytest.raises(BadInputError, match="iterations"):
            castline.analyze(["a"], iterations=-1)
        with pytest.raises(BadInputError, match="no run"):
            castline.get("20260101-000000-aaaa")


def test_a_redis_that_is_away_is_said_at_once(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASTLINE_REDIS_URL", "redis://127.0.0.1:1/0")
    load_settings.cache_clear()
    with pytest.raises(ServiceAwayError, match="is away"):
        Castline()
    monkeypatch.undo()
    load_settings.cache_clear()


def test_the_programs_of_the_documentation_run_as_they_stand(farm: Farm) -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 2
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=farm.castline.folder,
            env=farm.castline.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "True" in done.stdout
    assert (farm.castline.folder / "clocks" / "index.html").exists()

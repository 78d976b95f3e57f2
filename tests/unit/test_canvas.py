"""The canvas carries ids and queues, nothing else."""

import json

from tasks.canvas import persona_chain, tweet_chord
from tasks.schemas.plan import STAGES, Request, Source

SECRET = "a lighthouse keeper who hides from the sea"


def request(**fields: object) -> Request:
    """Build a request whose brief must never show up in a message."""
    source = Source(label="brief.md", text=SECRET)
    return Request.model_validate({"sources": (source,), **fields})


def names(chain: object) -> list[str]:
    """List the task names of a chain."""
    return [task["task"] for task in json.loads(json.dumps(chain))["kwargs"]["tasks"]]


def test_the_chain_is_the_seven_stages_then_assembly_then_the_calendar() -> None:
    built = persona_chain("r", "p0.core", request(tweets=2))
    expected = [f"persona.{stage}" for stage in (*STAGES, "assemble")]
    assert names(built) == [*expected, "calendar.plan"]


def test_without_tweets_the_chain_ends_with_the_assembly() -> None:
    assert names(persona_chain("r", "p0.core", request()))[-1] == "persona.assemble"


def test_a_chain_can_be_taken_up_in_its_middle() -> None:
    built = persona_chain("r", "p0.visual", request())
    assert names(built) == ["persona.visual", "persona.knowledge", "persona.assemble"]


def test_in_batch_mode_a_step_goes_alone() -> None:
    built = json.loads(json.dumps(persona_chain("r", "p0.core", request(batch_api=True))))
    assert (built["task"], built["args"]) == ("persona.core", ["r", "p0.core"])


def test_starting_and_continuing_and_each_priority_have_queues_of_their_own() -> None:
    built = json.loads(json.dumps(persona_chain("r", "p0.core", request(priority="batch"))))
    queues = [task["options"]["queue"] for task in built["kwargs"]["tasks"]]
    assert queues[0] == "llm.2-batch.2-rest"
    assert set(queues[1:]) == {"llm.2-batch.1-chain"}


def test_tweets_go_in_groups_and_every_tweet_is_in_exactly_one() -> None:
    built = json.loads(json.dumps(tweet_chord("r", 4, request(tweets=7), group=3)))
    header = built["kwargs"]["header"]
    tasks = header["kwargs"]["tasks"] if isinstance(header, dict) else header
    steps = [step for task in tasks for step in task["args"][1]]
    assert steps == [f"p4.t{slot:02d}" for slot in range(1, 8)]
    assert len(tasks) == 3
    assert built["kwargs"]["body"]["task"] == "tweet.collect"


def test_no_message_carries_a_brief_and_a_chain_stays_small() -> None:
    text = json.dumps(persona_chain("20261123-174500-k3f9", "p0.core", request(tweets=1000)))
    assert SECRET not in text
    assert len(text) < 4000

"""Stage 3: eight tweets that show the voice, four in each of two calls side by side."""

import asyncio

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import (
    CoreDocument,
    ExamplesDocument,
    ExampleTweets,
    StrategyDocument,
)
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import as_json, conversation, sheet

ANGLES = (
    "ordinary moments of their day: work, food, weather, people met",
    "thoughts and feelings: a memory, a small doubt, a joke, something they noticed at night",
)


def prompt(inputs: StageInputs, angle: str) -> tuple[Message, ...]:
    """Ask for four tweets from one angle."""
    core = inputs.document("core", CoreDocument)
    strategy = inputs.document("strategy", StrategyDocument)
    task = (
        f"Write four tweets as this character, about {angle}. First person, each at most 200 "
        "characters, each of another shape and mood; a reader should know who wrote them."
    )
    plan = f"Tweet strategy: {as_json(strategy)}"
    return conversation(inputs.language, "You are the character's voice.", task, sheet(core), plan)


async def write(inputs: StageInputs, ask: Ask) -> ExamplesDocument:
    """Write the examples: two calls at once."""
    halves = await asyncio.gather(
        *(
            ask(
                StructuredCall(
                    name=f"examples.{number}",
                    messages=prompt(inputs, angle),
                    reply=ExampleTweets,
                    temperature=1.0,
                    max_tokens=2000,
                )
            )
            for number, angle in enumerate(ANGLES, 1)
        )
    )
    return ExamplesDocument(tweets=[tweet for half in halves for tweet in half.tweets])


STAGE = Stage(
    name="examples",
    version="1",
    reads=("core", "strategy"),
    document=ExamplesDocument,
    write=write,
)

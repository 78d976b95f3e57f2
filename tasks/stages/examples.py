"""Stage 3: eight tweets that show the voice, four in each of two calls side by side."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import (
    CoreDocument,
    ExamplesDocument,
    ExampleTweet,
    ExampleTweets,
    StrategyDocument,
)
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.together import together
from tasks.stages.tweet_length import shorten
from tasks.stages.wording import conversation, document_lines, sheet

ROLE = "You are the character's own voice."
ANGLES = (
    "the outside of their day: work, food, weather, things and people in front of them",
    "the inside of their day: a memory, a doubt, a private joke, something noticed at night",
)


def prompt(inputs: StageInputs, angle: str) -> tuple[Message, ...]:
    """Ask for four tweets from one angle."""
    task = (
        f"Write four tweets as the character below, about {angle}.\n"
        "- First person, at most 200 characters each (100 in Chinese).\n"
        "- Each has another shape, length, mood and opening word; one is very short.\n"
        "- Each holds one detail that only this character could have written.\n"
        "- They read as typed on a phone between two things, not as literature; hashtags and "
        "emoji only if the strategy wants them."
    )
    core = inputs.document("core", CoreDocument)
    strategy = inputs.document("strategy", StrategyDocument)
    return conversation(
        inputs.language, ROLE, task, sheet(core), f"How they tweet:\n{document_lines(strategy)}"
    )


async def write(inputs: StageInputs, ask: Ask) -> ExamplesDocument:
    """Write the examples: two calls at once; what is too long for X is cut."""
    halves = await together(
        ask(
            StructuredCall(
                name=f"examples.{number}",
                messages=prompt(inputs, angle),
                reply=ExampleTweets,
                temperature=1.0,
                max_tokens=2500,
            )
        )
        for number, angle in enumerate(ANGLES, 1)
    )
    tweets = [
        ExampleTweet(text=shorten(tweet.text), mood=tweet.mood)
        for half in halves
        for tweet in half.tweets
    ]
    return ExamplesDocument(tweets=tweets)


STAGE = Stage(
    name="examples",
    version="1",
    reads=("core", "strategy"),
    document=ExamplesDocument,
    write=write,
    calls=len(ANGLES),
)

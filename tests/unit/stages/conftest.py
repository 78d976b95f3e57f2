"""A model that answers from samples and remembers what it was asked, and a card made of them."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from tasks.schemas.calls import CallUsage, StructuredCall
from tasks.schemas.documents import (
    AuthenticityDocument,
    BookEntry,
    BookPart,
    CoreDocument,
    DayPlan,
    DayPlans,
    ExampleTweet,
    ExampleTweets,
    Exchange,
    Observation,
    Relation,
    Relations,
    StrategyDocument,
    TweetReply,
    VisualDocument,
)
from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.schemas.plan import Source
from tasks.stages.assemble import assemble
from tasks.stages.registry import STAGES
from tasks.stages.stage import StageInputs

CORE = CoreDocument(
    name="Ada Falk",
    age=43,
    gender="woman",
    occupation="night baker",
    city="Grimsvik",
    tagline="Awake so you need not be.",
    backstory="Left the tax office for dough.",
    personality="Counts everything.",
    speaking_style="Exact times.",
    values=["work", "warmth"],
    flaws=["counts people too"],
    interests=["radio", "rye", "rivers"],
    goals=["to win the cake show"],
    scenario="{{user}} knocks at four in the morning.",
    first_message="You are early, {{user}}.",
    alternate_greetings=["Door's open.", "Mind the flour."],
    example_dialogues=[
        Exchange(user="Still warm?", character="For eleven minutes."),
        Exchange(user="Sleep well?", character="At noon, yes."),
    ],
    tags=["baker", "night", "baker"],
)
VISUAL = VisualDocument(
    hair="grey plait",
    eyes="green",
    build="broad",
    clothing_style="linen apron",
    palette=["ochre", "navy"],
    signature_items=["pencil"],
    setting="bakery",
    base_prompt="a 43-year-old woman, grey plait, green eyes, linen apron",
    portrait_prompt="flour on one cheek, half a smile",
    negative_prompt="beard, text",
)
STRATEGY = StrategyDocument(
    themes=["dough", "dawn", "regulars"],
    tone="dry",
    rhythm="four in the morning",
    formats=["reports", "questions"],
    hashtags="never",
    avoids=["recipes"],
)
AUTHENTICITY = AuthenticityDocument(
    daily_routine="Up at midnight.",
    quirks=["hums", "counts"],
    contradictions=["hates noise, owns a radio."],
    memories=["wet wool", "first loaf"],
    mood_patterns="better with rain",
    typing_habits="no capitals",
)


def plans(days: list[str]) -> DayPlans:
    """Plans for some days."""
    return DayPlans(
        days=[
            DayPlan(
                date=day, topic="rye", mood="calm", activity="baking", time_of_day="dawn",
                weather="fog", hook="Four sharp.", image_idea="a lit window",
            )
            for day in days
        ]
    )  # fmt: skip


def days_asked(call: StructuredCall[Any]) -> list[str]:
    """Read the line that names the days, as the simulated provider does."""
    text = call.messages[-1].content
    line = next(ln for ln in text.splitlines() if ln.startswith("calendar-days: "))
    return line.removeprefix("calendar-days: ").split(", ")


class FakeAsk:
    """Answers by the call's name if told how, else with a sample of its reply."""

    def __init__(self) -> None:
        self.answers: dict[str, BaseModel | Exception] = {}
        self.calls: list[StructuredCall[Any]] = []

    async def __call__(self, call: StructuredCall[Any], /) -> Any:
        self.calls.append(call)
        answer = self.answers.get(call.name) or sample(call)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        """The calls' names, in order."""
        return [call.name for call in self.calls]

    def prompt(self, name: str) -> str:
        """All text of one call's messages."""
        call = next(call for call in self.calls if call.name == name)
        return "\n".join(message.content for message in call.messages)


def sample(call: StructuredCall[Any]) -> BaseModel:
    """A valid reply."""
    if call.reply is DayPlans:
        return plans(days_asked(call))
    return SAMPLES[call.reply]


SAMPLES: dict[type[BaseModel], BaseModel] = {
    Observation: Observation(
        appearance="grey plait", clothing="apron", setting="bakery", mood="tired"
    ),
    CoreDocument: CORE,
    StrategyDocument: STRATEGY,
    ExampleTweets: ExampleTweets(
        tweets=[ExampleTweet(text=f"Loaf {n} is done.", mood="calm") for n in range(4)]
    ),
    Relations: Relations(
        people=[
            Relation(name="Ivo Lind", relation="brother", story="They share a boat."),
            Relation(name="Nour", relation="rival", story="They share a street."),
        ]
    ),
    AuthenticityDocument: AUTHENTICITY,
    VisualDocument: VISUAL,
    BookPart: BookPart(
        entries=[
            BookEntry(keys=["rye", "rye"], content="{{char}} bakes rye on Fridays."),
            BookEntry(keys=["harbour"], content="The harbour freezes in March."),
        ]
    ),
    TweetReply: TweetReply(text="Rye again.", image_prompt="a loaf on a sill"),
}


def stage_inputs(**changes: Any) -> StageInputs:
    """Inputs of a stage, with what a test changes."""
    source = Source(label="brief", text="A night baker.")
    return StageInputs(**{"source": source, "language": "en", "persona_index": 0, **changes})


async def write_all(ask: FakeAsk, **changes: Any) -> dict[str, BaseModel]:
    """Write the seven documents of a character."""
    documents: dict[str, BaseModel] = {}
    for name in STAGE_NAMES:
        inputs = stage_inputs(documents=documents, **changes)
        documents[name] = await STAGES[name].write(inputs, ask)
    return documents


@pytest.fixture
def ask() -> FakeAsk:
    """A model that answers from samples."""
    return FakeAsk()


@pytest.fixture
def make_inputs() -> Any:
    """Build stage inputs."""
    return stage_inputs


@pytest.fixture
def write_documents() -> Any:
    """Write all seven documents with a model."""
    return write_all


@pytest.fixture
def documents() -> dict[str, BaseModel]:
    """The seven documents of a sample character."""
    return asyncio.run(write_all(FakeAsk()))


@pytest.fixture
def card(documents: dict[str, BaseModel]) -> dict[str, Any]:
    """The card of a sample character."""
    usage = {"core": CallUsage(model="sim-1", made=2, cost_usd=0.5), "visual": CallUsage(made=1)}
    return assemble(documents, run_id="r1", language="en", usage_by_stage=usage)

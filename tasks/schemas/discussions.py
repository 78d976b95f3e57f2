"""A discussion: what is asked for, what an agent says, what comes of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool

from tasks.schemas.frozen import Frozen

Order = Literal["turns", "together"]
Ending = Literal["rounds", "consensus", "budget", "time", "ended"]

PROMPT_CHARACTERS = 8000
TOPIC_CHARACTERS = 4000


class Agent(Frozen):
    """One who takes part: a name, how they think, and whether they lead the discussion."""

    name: str = Field(min_length=1, max_length=60)
    prompt: str = Field(min_length=1, max_length=PROMPT_CHARACTERS)
    moderator: StrictBool = False


class Discussion(Frozen):
    """What a session discusses, who takes part, and when it stops; 0 means no limit."""

    topic: str = Field(min_length=1, max_length=TOPIC_CHARACTERS)
    agents: tuple[Agent, ...] = Field(min_length=1, max_length=12)
    rounds: int = Field(default=3, ge=1, le=50)
    order: Order = "turns"
    budget_tokens: int = Field(default=0, ge=0)
    seconds: FiniteFloat = Field(default=0, ge=0)
    user: str = ""


class TurnReply(BaseModel):
    """What an agent says in a turn."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=4000)


class ModeratorReply(TurnReply):
    """What a moderator says, and whether all agree by now."""

    consensus: bool


class SummaryReply(BaseModel):
    """What came of a discussion."""

    model_config = ConfigDict(extra="ignore")

    summary: str = Field(min_length=1, max_length=4000)
    agreements: list[str] = Field(default_factory=list, max_length=10)
    disagreements: list[str] = Field(default_factory=list, max_length=10)


class TurnDocument(Frozen):
    """A turn as it is stored; `skipped` says why nobody was asked, then `text` is empty."""

    agent: str
    round: int
    text: str = ""
    consensus: bool = False
    skipped: Ending | Literal[""] = ""


class QuestionDocument(Frozen):
    """A question from outside, put before the agents of its round."""

    question: str
    round: int


class SummaryDocument(Frozen):
    """What came of a discussion, and what ended it."""

    summary: str
    agreements: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    ended_by: Ending = "rounds"

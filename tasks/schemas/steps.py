"""Step ids: `p3.core`, `p3.calendar`, `p3.t07`, `p3.collect`, `p3.portrait`, `p3.i07`.

In a discussion `p2.s03` is the turn of agent 2 in round 3, and `p0.summary` its end.
In an analysis `p4.search` and `p4.analyze` are those of topic 4.
"""

import re
from dataclasses import dataclass

from tasks.errors import BadInputError

PATTERN = re.compile(r"^p(\d+)\.([a-z]+|[tis]\d+)$")


@dataclass(frozen=True)
class StepName:
    """A step id, taken apart: the character's index and what is done for it."""

    persona: int
    part: str

    @staticmethod
    def parse(step: str) -> "StepName":
        """Take a step id apart. Raises BadInputError when it is none."""
        match = PATTERN.match(step)
        if match is None:
            raise BadInputError(f"not a step: {step!r}")
        return StepName(int(match[1]), match[2])

    @property
    def slot(self) -> int:
        """The tweet's or picture's number, from 1; 0 for other steps."""
        return int(self.part[1:]) if self.part[1:].isdigit() else 0

    @property
    def is_tweet(self) -> bool:
        """Whether this step writes a tweet."""
        return self.slot > 0 and self.part.startswith("t")

    @property
    def is_turn(self) -> bool:
        """Whether this step is an agent's turn in a discussion: the agent and the round."""
        return self.slot > 0 and self.part.startswith("s")

    @property
    def is_picture(self) -> bool:
        """Whether this step needs a GPU queue."""
        return self.part == "portrait" or (self.slot > 0 and self.part.startswith("i"))


def chain_step(persona: int, part: str) -> str:
    """Id of a stage, or of the assembly."""
    return f"p{persona}.{part}"


def calendar_step(persona: int) -> str:
    """Id of the calendar."""
    return f"p{persona}.calendar"


def tweet_step(persona: int, slot: int) -> str:
    """Id of one tweet; slots count from 1."""
    return f"p{persona}.t{slot:02d}"


def picture_step(persona: int, slot: int) -> str:
    """Id of one tweet's picture."""
    return f"p{persona}.i{slot:02d}"


def collect_step(persona: int) -> str:
    """Id of the chord's body."""
    return f"p{persona}.collect"


def portrait_step(persona: int) -> str:
    """Id of the rendered portrait."""
    return f"p{persona}.portrait"


def turn_step(agent: int, number: int) -> str:
    """Id of an agent's turn; rounds count from 1."""
    return f"p{agent}.s{number:02d}"


def summary_step() -> str:
    """Id of a discussion's summary."""
    return "p0.summary"


def search_step(topic: int) -> str:
    """Id of a topic's search."""
    return f"p{topic}.search"


def analyze_step(topic: int) -> str:
    """Id of a topic's analysis."""
    return f"p{topic}.analyze"

"""What a stage is: a name, a version, what it reads, and how it asks a model."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from tasks.errors import BadInputError
from tasks.schemas.calls import Ask
from tasks.schemas.plan import Source

Language = Literal["en", "zh"]
D = TypeVar("D", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """Everything that a stage may look at.

    The seven stages read `source`, the picture (a data URL) and `documents` by stage name; calendar
    and tweets read `card` (a Character Card V2), `dates` (YYYY-MM-DD), or `slot`, `date` and `day`.
    """

    source: Source
    language: Language
    persona_index: int
    image_data_url: str | None = None
    documents: Mapping[str, BaseModel] = field(default_factory=dict)
    taken_names: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    slot: int = 0
    date: str = ""
    day: Mapping[str, Any] = field(default_factory=dict)

    def with_taken(self, names: tuple[str, ...]) -> "StageInputs":
        """The same inputs with names that are taken."""
        return replace(self, taken_names=names)

    def document(self, name: str, kind: type[D]) -> D:
        """Return one stage's document. Raises BadInputError when it is not there."""
        document = self.documents.get(name)
        if not isinstance(document, kind):
            raise BadInputError(f"the stage needs the document of {name!r}")
        return document


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage; raise `version` whenever its prompts or its document change.

    `calls` is how many model calls it usually takes (a calendar: for each ten days).
    """

    name: str
    version: str
    reads: tuple[str, ...]
    document: type[BaseModel]
    write: Callable[[StageInputs, Ask], Awaitable[BaseModel]]
    calls: int = 1

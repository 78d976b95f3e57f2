"""Character Card V2 as types, from the published specification (chara_card_v2, 2.0).

Booleans are not numbers, nothing required is null, unknown extension keys survive.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

Number = StrictInt | Annotated[float, Field(strict=True)]


class Open(BaseModel):
    """A part of a card; fields that we do not know are kept."""

    model_config = ConfigDict(extra="allow")


class CardEntry(Open):
    """One entry of a character book."""

    keys: list[StrictStr]
    content: StrictStr
    extensions: dict[str, Any]
    enabled: StrictBool
    insertion_order: Number
    case_sensitive: StrictBool = False
    selective: StrictBool = False
    constant: StrictBool = False
    name: StrictStr = ""
    comment: StrictStr = ""
    priority: Number = 0
    id: Number = 0
    secondary_keys: list[StrictStr] = Field(default_factory=list)
    position: Literal["before_char", "after_char"] = "before_char"


class CardBook(Open):
    """A character book."""

    extensions: dict[str, Any]
    entries: list[CardEntry]
    name: StrictStr = ""
    description: StrictStr = ""
    scan_depth: Number = 0
    token_budget: Number = 0
    recursive_scanning: StrictBool = False


class CardData(Open):
    """The card's data; `character_book` is left out when there is none, never null."""

    name: Annotated[StrictStr, Field(min_length=1)]
    description: StrictStr
    personality: StrictStr
    scenario: StrictStr
    first_mes: StrictStr
    mes_example: StrictStr
    creator_notes: StrictStr
    system_prompt: StrictStr
    post_history_instructions: StrictStr
    creator: StrictStr
    character_version: StrictStr
    alternate_greetings: list[StrictStr]
    tags: list[StrictStr]
    extensions: dict[str, Any]
    character_book: CardBook = CardBook(extensions={}, entries=[])


class CardV2(Open):
    """A Character Card V2."""

    spec: Literal["chara_card_v2"]
    spec_version: Literal["2.0"]
    data: CardData


def valid_card(card: dict[str, Any]) -> dict[str, Any]:
    """Check a card and return it with only the fields that were set.

    Raises pydantic's ValidationError.
    """
    return CardV2.model_validate(card).model_dump(mode="json", exclude_unset=True)

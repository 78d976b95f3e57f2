"""Character Card V2 and V3 as types, from their published specifications (2.0 and 3.0).

Booleans are not numbers, nothing required is null, unknown fields and extension keys survive.
Reading files, raising V2 to V3 and back, and PNGs are the stages' business.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


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


class CardFields(Open):
    """What V2 and V3 share, save the book."""

    name: Annotated[StrictStr, Field(pattern=r"\S")]
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


class CardData(CardFields):
    """The data of a V2 card; `character_book` is left out when there is none, never null."""

    character_book: CardBook = CardBook(extensions={}, entries=[])


class CardV2(Open):
    """A Character Card V2."""

    spec: Literal["chara_card_v2"]
    spec_version: Literal["2.0"]
    data: CardData


class CardEntryV3(CardEntry):
    """One entry of a V3 book."""

    use_regex: StrictBool
    id: Number | StrictStr = 0  # type: ignore[assignment]  # V3 allows more than V2


class CardBookV3(Open):
    """The book of a V3 card."""

    extensions: dict[str, Any]
    entries: list[CardEntryV3]
    name: StrictStr = ""
    description: StrictStr = ""
    scan_depth: Number = 0
    token_budget: Number = 0
    recursive_scanning: StrictBool = False


class CardAsset(Open):
    """A picture or other file that belongs to a V3 card; `ext` is lower-case without a dot."""

    type: StrictStr
    uri: Annotated[StrictStr, Field(pattern=r"^(https?://|data:|embeded://|ccdefault:)")]
    name: StrictStr
    ext: Annotated[StrictStr, Field(pattern=r"^[^.A-Z]+$")]


class CardDataV3(CardFields):
    """The data of a V3 card; times are unix seconds."""

    group_only_greetings: list[StrictStr]
    assets: list[CardAsset] = Field(default_factory=list)
    nickname: StrictStr = ""
    source: list[StrictStr] = Field(default_factory=list)
    creator_notes_multilingual: dict[str, StrictStr] = Field(default_factory=dict)
    creation_date: Number = 0
    modification_date: Number = 0
    character_book: CardBookV3 = CardBookV3(extensions={}, entries=[])


class CardV3(Open):
    """A Character Card V3."""

    spec: Literal["chara_card_v3"]
    spec_version: Literal["3.0"]
    data: CardDataV3


C = TypeVar("C", bound=dict[str, Any])


def valid_card(card: C) -> C:
    """Hand back a card that is a valid V2, untouched. Raises pydantic's ValidationError."""
    CardV2.model_validate(card)
    return card


def valid_card_v3(card: C) -> C:
    """Hand back a card that is a valid V3, untouched. Raises pydantic's ValidationError."""
    CardV3.model_validate(card)
    return card

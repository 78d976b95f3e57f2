"""The types of single fields of a body: as strict as the OpenAPI description says they are.

pydantic alone would take `true` and `"3"` for numbers.
"""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, JsonValue, StrictBool

from tasks.schemas.analyses import TOPIC_CHARACTERS


def number(value: object) -> object:
    """Let through what may be a number in JSON. Raises ValueError for words and truth values."""
    if isinstance(value, bool | str):
        raise ValueError("give a number")
    return value


WholeNumber = Annotated[int, BeforeValidator(number)]
Number = Annotated[FiniteFloat, BeforeValidator(number)]
Truth = StrictBool
Topic = Annotated[str, Field(min_length=1, max_length=TOPIC_CHARACTERS, pattern=r"\S")]


def example(body: dict[str, JsonValue]) -> ConfigDict:
    """Show a body that goes as it stands on the page of the API, and to programs that try it."""
    return ConfigDict(json_schema_extra={"examples": [body]})

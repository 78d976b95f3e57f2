"""JSON that a user gave: read strictly, with errors that say where.

What the content must look like is its reader's business.
"""

import json
from typing import Any, NoReturn

from tasks.errors import BadInputError

DEEPEST = 64


class _DoubleKeyError(ValueError):
    """An object names a key twice."""


def parse_json(text: str, *, label: str, doubles: bool = True, hint: str = "") -> Any:
    """Read JSON; half characters (lone surrogates) become U+FFFD.

    With `doubles` the last of two equal keys counts, without they are refused. Raises
    BadInputError with line and column; also for more than 64 levels of nesting.
    """
    try:
        content = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=None if doubles else _without_doubles,
            parse_constant=_no_constant,
        )
        return _whole(content, DEEPEST)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadInputError(f"{label} is not JSON: {error.msg}, {place}", hint=hint) from None
    except _DoubleKeyError as error:
        raise BadInputError(f"{label} has {error} twice", hint="keep one of them") from None
    except RecursionError:
        raise BadInputError(f"{label} is nested too deeply", hint=hint) from None
    except ValueError as error:
        raise BadInputError(f"{label} is not JSON: {error}", hint=hint) from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key, value in pairs:
        if key in built:
            raise _DoubleKeyError(f'"{key}"')
        built[key] = value
    return built


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _whole(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _whole_text(value)
    if isinstance(value, list | dict) and levels == 0:
        raise RecursionError
    if isinstance(value, list):
        return [_whole(part, levels - 1) for part in value]
    if isinstance(value, dict):
        return {_whole_text(key): _whole(part, levels - 1) for key, part in value.items()}
    return value


def _whole_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

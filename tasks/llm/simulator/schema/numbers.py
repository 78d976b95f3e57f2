"""One number for a number schema: within its bounds, and plausible for its field's name."""

import math
import random
from typing import Any

from tasks.llm.simulator.prose.subjects import Field, words_of
from tasks.llm.simulator.schema.conforms import number_fits
from tasks.llm.simulator.schema.document import UnusableSchemaError

# the first word of a field's name that is known decides; ages are those of adults
_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "age": (21, 67),
    "year": (2024, 2027),
    "month": (1, 12),
    "day": (1, 28),
    "hour": (6, 23),
    "minute": (0, 59),
    "percent": (5, 95),
    "percentage": (5, 95),
    "score": (1, 10),
    "rating": (1, 10),
    "confidence": (0, 1),
    "probability": (0, 1),
    "weight": (50, 95),
    "height": (152, 194),
    "temperature": (-5, 31),
    "price": (3, 90),
    "follower": (120, 9000),
    "like": (0, 400),
    "priority": (1, 10),
    "order": (1, 100),
    "seed": (0, 2**31 - 1),
    "depth": (2, 10),
    "budget": (200, 2000),
}
_ORDINARY: dict[str, tuple[float, float]] = {"integer": (1, 10), "number": (0, 1)}
_TRIES = 200


def fitting_number(
    schema: dict[str, Any], kind: str, field: Field, rng: random.Random
) -> int | float:
    """A number that is valid for this schema; `kind` is `integer` or `number`.

    Raises UnusableSchemaError when its bounds and steps leave nothing.
    """
    low, high = _bounds(schema)
    if "multipleOf" in schema:
        return _stepped(schema, kind, low, high, rng)
    near_low, near_high = _narrowed(low, high, field, kind)
    if kind == "integer":
        return _whole(schema, near_low, near_high, rng)
    for digits in (2, 4, 17):
        value = round(rng.uniform(near_low, near_high), digits)
        if number_fits(value, schema):
            return value
    for value in (low, high, (near_low + near_high) / 2, math.nextafter(low, high)):
        if math.isfinite(value) and number_fits(value, schema):
            return value
    raise UnusableSchemaError(f"no number lies between {low} and {high}")


def _bounds(schema: dict[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    if low > high:
        raise UnusableSchemaError(f"no number is at least {low} and at most {high}")
    return low, high


def _narrowed(low: float, high: float, field: Field, kind: str) -> tuple[float, float]:
    names = (*words_of(field.name), *words_of(field.description))
    known = next((_PLAUSIBLE[word] for word in names if word in _PLAUSIBLE), None)
    plausible = known or _ORDINARY[kind]
    narrow = max(low, plausible[0]), min(high, plausible[1])
    if narrow[0] <= narrow[1] and (known or math.isinf(low) or math.isinf(high)):
        return narrow
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    return (low, low + 10) if math.isfinite(low) else (high - 10, high)


def _whole(schema: dict[str, Any], low: float, high: float, rng: random.Random) -> int:
    first, last = _first_whole(schema, low), _last_whole(schema, high)
    if first > last:
        # what is plausible may lie between two whole numbers while the bounds are wider
        bounds = _bounds(schema)
        first = _first_whole(schema, bounds[0]) if math.isfinite(bounds[0]) else last
        last = _last_whole(schema, bounds[1]) if math.isfinite(bounds[1]) else first
    if first > last:
        raise UnusableSchemaError(f"no whole number lies between {low} and {high}")
    return rng.randint(first, last)


def _first_whole(schema: dict[str, Any], low: float) -> int:
    first = math.ceil(low)
    return first + int(first <= schema.get("exclusiveMinimum", -math.inf))


def _last_whole(schema: dict[str, Any], high: float) -> int:
    last = math.floor(high)
    return last - int(last >= schema.get("exclusiveMaximum", math.inf))


def _stepped(
    schema: dict[str, Any], kind: str, low: float, high: float, rng: random.Random
) -> int | float:
    step: int | float = schema["multipleOf"]
    if step <= 0:
        raise UnusableSchemaError(f"multipleOf must be above 0, not {step}")
    if math.isinf(low) and math.isinf(high):
        low, high = 0, 20 * step
    elif math.isinf(low):
        low = high - 20 * step
    elif math.isinf(high):
        high = low + 20 * step
    first, last = math.ceil(low / step), math.floor(high / step)
    tries = [rng.randint(first, last) for _ in range(_TRIES)] if first <= last else []
    for count in (*tries, *range(first, min(last, first + _TRIES) + 1)):
        value: int | float = step * count
        if kind == "integer" and not isinstance(value, int):
            value = int(value) if value == int(value) else value
        if (kind == "number" or isinstance(value, int)) and number_fits(value, schema):
            return value
    raise UnusableSchemaError(f"no multiple of {step} lies between {low} and {high}")

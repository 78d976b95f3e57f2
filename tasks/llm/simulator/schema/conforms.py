"""Whether a value is valid for a schema: the last word on every reply that we write.

Covers the vocabulary that `instance.py` generates for. `format` is checked for dates only, as an
annotation it binds nobody else.
"""

import datetime
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tasks.llm.simulator.schema.document import Schema, SchemaDocument, UnusableSchemaError

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    ),
}


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as Python reads it; raises UnusableSchemaError for one that it does not."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UnusableSchemaError(f"unsupported pattern {pattern!r}: {error}") from error


def same(one: Any, other: Any) -> bool:
    """JSON equality: 1 is 1.0, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def is_multiple(value: float, step: float) -> bool:
    """Whether value is a whole number of steps, judged as validators do, in floating point."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    quotient = value / step
    return math.isfinite(quotient) and quotient == int(quotient)


def conforms(value: Any, schema: Schema, document: SchemaDocument) -> bool:
    """Whether the value is valid for the schema, a part of this document."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema and not conforms(value, document.resolve(schema["$ref"]), document):
        return False
    if "const" in schema and not same(value, schema["const"]):
        return False
    if "enum" in schema and not any(same(value, choice) for choice in schema["enum"]):
        return False
    if "type" in schema and not _has_type(value, schema["type"]):
        return False
    return _fits_kind(value, schema, document) and _fits_branches(value, schema, document)


def _has_type(value: Any, types: str | list[str]) -> bool:
    if isinstance(types, str):
        return _TYPES[types](value)
    return any(_TYPES[kind](value) for kind in types)


def _fits_kind(value: Any, schema: dict[str, Any], document: SchemaDocument) -> bool:
    if isinstance(value, str):
        return _string_fits(value, schema)
    if isinstance(value, dict):
        return _object_fits(value, schema, document)
    if isinstance(value, list):
        return _array_fits(value, schema, document)
    if value is None or isinstance(value, bool):
        return True
    return number_fits(value, schema)


def _string_fits(value: str, schema: dict[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    if schema.get("format") == "date" and not _is_day(value):
        return False
    return "pattern" not in schema or compiled(schema["pattern"]).search(value) is not None


def _is_day(value: str) -> bool:
    try:
        return len(value) == 10 and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False


def number_fits(value: float, schema: dict[str, Any]) -> bool:
    """Whether the number keeps to the schema's bounds and steps."""
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or is_multiple(value, schema["multipleOf"]))
    )


def _object_fits(value: dict[str, Any], schema: dict[str, Any], document: SchemaDocument) -> bool:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf):
        return False
    if not all(name in value for name in schema.get("required", ())):
        return False
    for name, needed in schema.get("dependentRequired", {}).items():
        if name in value and not all(other in value for other in needed):
            return False
    for name, part in schema.get("dependentSchemas", {}).items():
        if name in value and not conforms(value, part, document):
            return False
    if "propertyNames" in schema and not all(
        conforms(name, schema["propertyNames"], document) for name in value
    ):
        return False
    return all(
        conforms(item, part, document)
        for name, item in value.items()
        for part in parts_for(name, schema)
    )


def parts_for(name: str, schema: dict[str, Any]) -> list[Schema]:
    """Every schema that binds the property of this name in an object schema."""
    parts: list[Schema] = []
    named = schema.get("properties")
    if named is not None and name in named:
        parts.append(named[name])
    for pattern, part in schema.get("patternProperties", {}).items():
        if compiled(pattern).search(name):
            parts.append(part)
    if not parts and "additionalProperties" in schema:
        parts.append(schema["additionalProperties"])
    return parts


def _array_fits(value: list[Any], schema: dict[str, Any], document: SchemaDocument) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        return False
    prefix = schema.get("prefixItems", [])
    if not all(conforms(item, part, document) for item, part in zip(value, prefix, strict=False)):
        return False
    rest = schema.get("items", True)
    if rest is not True and not all(
        conforms(item, rest, document) for item in value[len(prefix) :]
    ):
        return False
    if schema.get("uniqueItems") and any(
        same(one, other) for at, one in enumerate(value) for other in value[:at]
    ):
        return False
    if "contains" not in schema:
        return True
    found = sum(conforms(item, schema["contains"], document) for item in value)
    return bool(schema.get("minContains", 1) <= found <= schema.get("maxContains", math.inf))


def _fits_branches(value: Any, schema: dict[str, Any], document: SchemaDocument) -> bool:
    if not all(conforms(value, part, document) for part in schema.get("allOf", ())):
        return False
    if "anyOf" in schema and not any(conforms(value, part, document) for part in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(conforms(value, part, document) for part in schema["oneOf"]) != 1:
        return False
    if "not" in schema and conforms(value, schema["not"], document):
        return False
    if "if" not in schema:
        return True
    branch = "then" if conforms(value, schema["if"], document) else "else"
    return conforms(value, schema.get(branch, True), document)

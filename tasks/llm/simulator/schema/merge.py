"""Two schemas into one that asks for both: what `allOf`, and a branch beside its siblings, mean.

Only what `instance.py` cannot take one after the other is combined here; which branch is taken
is its business.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tasks.llm.simulator.schema.conforms import parts_for, same
from tasks.llm.simulator.schema.document import Schema, SchemaDocument, UnusableSchemaError

_OBJECT_PARTS = ("properties", "patternProperties", "additionalProperties")


_FOLDED = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "$defs"})


class Flattened(NamedTuple):
    """A schema without references and allOf; of each of `choices` one branch must be added."""

    schema: dict[str, Any]
    choices: list[list[Schema]]
    refs: tuple[str, ...]


def flattened(schema: dict[str, Any], document: SchemaDocument) -> Flattened:
    """Fold references and allOf into one schema, and set its branches apart.

    Raises UnusableSchemaError when the parts contradict each other.
    """
    flat: dict[str, Any] = {}
    choices: list[list[Schema]] = []
    refs: list[str] = []
    pending: list[Schema] = [schema]
    while pending:
        part = pending.pop(0)
        if part is True:
            continue
        if part is False:
            raise UnusableSchemaError("nothing is valid for the schema `false`")
        ref = part.get("$ref")
        if ref is not None and ref not in refs:
            refs.append(ref)
            pending.append(document.resolve(ref))
        pending.extend(part.get("allOf", ()))
        choices.extend(part[key] for key in ("anyOf", "oneOf") if key in part)
        if "if" in part:
            choices.append([both(part["if"], part.get("then", True)), part.get("else", True)])
        flat = merged(flat, {k: v for k, v in part.items() if k not in _FOLDED})
    return Flattened(flat, choices, tuple(refs))


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One schema whose instances are valid for both.

    Of two different `pattern`s the first is kept: the caller must check the instance.
    Raises UnusableSchemaError when nothing can be valid for both.
    """
    if not one or not other:
        return {**one, **other}
    result = {**other, **one}
    for key in one.keys() & other.keys():
        if key in _COMBINED:
            result[key] = _COMBINED[key](one[key], other[key])
    if any(key in one for key in _OBJECT_PARTS) and any(key in other for key in _OBJECT_PARTS):
        _merge_objects(result, one, other)
    return result


def both(one: Schema, other: Schema) -> Schema:
    """A schema asking for both, left to be merged when it is needed."""
    if one is True or one == other:
        return other
    return one if other is True else {"allOf": [one, other]}


def _merge_objects(result: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> None:
    # A name that only one side declares is "additional" on the other side, and bound by it there.
    names = [*one.get("properties", {}), *other.get("properties", {})]
    properties: dict[str, Schema] = {}
    for name in dict.fromkeys(names):
        parts = [*parts_for(name, one), *parts_for(name, other)]
        schema: Schema = True
        for part in parts:
            schema = both(schema, part)
        properties[name] = schema
    if properties:
        result["properties"] = properties
    if "patternProperties" in one and "patternProperties" in other:
        result["patternProperties"] = {
            pattern: both(
                one["patternProperties"].get(pattern, True),
                other["patternProperties"].get(pattern, True),
            )
            for pattern in {**one["patternProperties"], **other["patternProperties"]}
        }


def _types(one: str | list[str], other: str | list[str]) -> list[str]:
    left = [one] if isinstance(one, str) else one
    right = [other] if isinstance(other, str) else other
    shared = [kind for kind in left if kind in right]
    if "number" not in shared and "integer" not in shared:
        shared += ["integer"] if _numeric(left) and _numeric(right) else []
    if not shared:
        raise UnusableSchemaError(f"nothing is both {one!r} and {other!r}")
    return shared


def _numeric(types: list[str]) -> bool:
    return "integer" in types or "number" in types


def _enums(one: list[Any], other: list[Any]) -> list[Any]:
    shared = [value for value in one if any(same(value, choice) for choice in other)]
    if not shared:
        raise UnusableSchemaError("two enums have no value in common")
    return shared


def _const(one: Any, other: Any) -> Any:
    if not same(one, other):
        raise UnusableSchemaError("two constants differ")
    return one


def _multiple(one: float, other: float) -> float:
    if isinstance(one, int) and isinstance(other, int):
        return math.lcm(one, other)
    return max(one, other)


_COMBINED: dict[str, Callable[[Any, Any], Any]] = {
    "type": _types,
    "enum": _enums,
    "const": _const,
    "multipleOf": _multiple,
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "items": both,
    "propertyNames": both,
    "additionalProperties": both,
    "prefixItems": lambda one, other: [
        both(
            one[at] if at < len(one) else True,
            other[at] if at < len(other) else True,
        )
        for at in range(max(len(one), len(other)))
    ],
    "not": lambda one, other: {"anyOf": [one, other]},
    "uniqueItems": lambda one, other: one or other,
    "dependentRequired": lambda one, other: {
        name: [*one.get(name, ()), *other.get(name, ())] for name in {**one, **other}
    },
    **dict.fromkeys(
        ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"),
        lambda one, other: max(one, other),
    ),
    **dict.fromkeys(
        ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"),
        lambda one, other: min(one, other),
    ),
}

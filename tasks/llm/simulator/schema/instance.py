"""A readable, seeded instance of a JSON schema, valid for it or refused.

Structure is decided here; strings, numbers and their words are `strings.py`, `numbers.py` and
`prose`. Branches are tried in a seeded order until one holds; what recurses is kept small.
"""

import datetime
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.llm.simulator.prose.prose import Prose
from tasks.llm.simulator.prose.subjects import Field, subject_of
from tasks.llm.simulator.schema.conforms import conforms, parts_for, same
from tasks.llm.simulator.schema.document import (
    TYPES,
    Schema,
    SchemaDocument,
    UnusableSchemaError,
)
from tasks.llm.simulator.schema.merge import both, flattened
from tasks.llm.simulator.schema.numbers import fitting_number
from tasks.llm.simulator.schema.pattern import matching
from tasks.llm.simulator.schema.strings import fitting_text

_SOFT_DEPTH = 8  # deeper, or past so many nodes, only what is required is written
_SOFT_NODES = 400
_SAME_REF = 2  # a tree is written two levels deep
_HARD_DEPTH = 80
_HARD_NODES = 20_000
_CHECKED_TRIES = 20
_NULL_SHARE = 0.15
_CHECKED = ("oneOf", "not", "if", "allOf", "anyOf", "dependentSchemas")
_IMPLIED = (
    ("object", ("properties", "required", "additionalProperties", "patternProperties")),
    ("object", ("minProperties", "propertyNames", "dependentRequired")),
    ("array", ("items", "prefixItems", "minItems", "contains", "uniqueItems")),
    ("string", ("pattern", "minLength", "maxLength", "format")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)


class TooLargeError(UnusableSchemaError):
    """The schema asks for more than a simulated reply may hold."""


class _Place(NamedTuple):
    """Where in the document a value is: for its words and against endless recursion."""

    field: Field
    depth: int = 0
    refs: tuple[str, ...] = ()
    day: datetime.date | None = None


def instance_of(document: SchemaDocument, prose: Prose) -> Any:
    """A value that is valid for the document's root schema.

    Raises UnusableSchemaError when none can be found, which may be a limit of ours.
    """
    value = _Instances(document, prose).at(document.root, _Place(Field()))
    if not conforms(value, document.root, document):
        raise UnusableSchemaError("found no instance that satisfies this schema")
    return value


class _Instances:
    def __init__(self, document: SchemaDocument, prose: Prose) -> None:
        self._document = document
        self._prose = prose
        self._rng = prose.rng
        self._nodes = 0

    def at(self, schema: Schema, place: _Place) -> Any:
        """A value for this schema at this place."""
        self._nodes += 1
        if self._nodes > _HARD_NODES or place.depth > _HARD_DEPTH:
            raise TooLargeError("this schema asks for too large a document")
        if isinstance(schema, bool):
            if not schema:
                raise UnusableSchemaError("nothing is valid for the schema `false`")
            return self._prose.about(place.field)
        flat, choices, refs = flattened(schema, self._document)
        place = place._replace(refs=place.refs + refs)
        if not choices and not any(key in schema for key in _CHECKED) and "not" not in flat:
            return self._plain(flat, place)
        return self._checked(schema, flat, choices, place)

    def _checked(
        self,
        schema: dict[str, Any],
        flat: dict[str, Any],
        choices: list[list[Schema]],
        place: _Place,
    ) -> Any:
        """Try one branch after the other, some several times, until the whole schema holds."""
        problem = UnusableSchemaError("no branch of the schema can be satisfied")
        for parts in self._candidates(choices, place):
            try:
                value = (
                    self.at({"allOf": [flat, *parts]}, place._replace(depth=place.depth + 1))
                    if parts
                    else self._plain(flat, place)
                )
            except TooLargeError:
                raise
            except UnusableSchemaError as error:
                problem = error
                continue
            if conforms(value, schema, self._document):
                return value
        raise problem

    def _candidates(self, choices: list[list[Schema]], place: _Place) -> Iterator[list[Schema]]:
        """One branch of each choice: the branches in order first, then at random."""
        if not choices:
            yield from ([] for _ in range(_CHECKED_TRIES))
            return
        ordered = [self._ordered(branches, place) for branches in choices]
        if not all(ordered):
            return
        for at in range(max(map(len, ordered))):
            yield [branches[at % len(branches)] for branches in ordered]
        for _ in range(_CHECKED_TRIES):
            yield [self._rng.choice(branches) for branches in ordered]

    def _ordered(self, branches: list[Schema], place: _Place) -> list[Schema]:
        height = self._document.height
        finite = [branch for branch in branches if not math.isinf(height(branch))]
        if self._minimal(place):
            return sorted(finite, key=height)
        self._rng.shuffle(finite)
        if self._rng.random() > _NULL_SHARE:
            finite.sort(key=_is_null)
        return finite

    def _minimal(self, place: _Place) -> bool:
        return (
            place.depth > _SOFT_DEPTH
            or self._nodes > _SOFT_NODES
            or any(place.refs.count(ref) > _SAME_REF for ref in place.refs)
        )

    # --- one kind ------------------------------------------------------------------------------

    def _plain(self, schema: dict[str, Any], place: _Place) -> Any:
        if "const" in schema or "enum" in schema:
            return self._chosen(schema)
        problem: UnusableSchemaError | None = None
        for kind in self._kinds(schema):
            try:
                return self._of_kind(kind, schema, place)
            except TooLargeError:
                raise
            except UnusableSchemaError as error:
                problem = error
        raise problem or UnusableSchemaError("a schema with no type allows nothing")

    def _chosen(self, schema: dict[str, Any]) -> Any:
        choices = [schema["const"]] if "const" in schema else schema["enum"]
        right = [value for value in choices if conforms(value, schema, self._document)]
        if not right:
            raise UnusableSchemaError("no value of the enum is valid beside it")
        return self._rng.choice(right)

    def _kinds(self, schema: dict[str, Any]) -> list[str]:
        kinds = schema.get("type")
        if isinstance(kinds, str):
            return [kinds]
        if kinds is None:
            implied = [kind for kind, keys in _IMPLIED if any(key in schema for key in keys)]
            return [*implied, *(kind for kind in ("string", *TYPES) if kind not in implied)]
        shuffled = self._rng.sample(kinds, len(kinds))
        if self._rng.random() > _NULL_SHARE:
            shuffled.sort(key=lambda kind: kind == "null")
        return shuffled

    def _of_kind(self, kind: str, schema: dict[str, Any], place: _Place) -> Any:
        match kind:
            case "object":
                return self._object(schema, place)
            case "array":
                return self._array(schema, place)
            case "string":
                return self._string(schema, place)
            case "integer" | "number":
                return fitting_number(schema, kind, _described(place.field, schema), self._rng)
            case "boolean":
                return self._rng.random() < 0.5
        return None

    def _string(self, schema: dict[str, Any], place: _Place) -> str:
        field = _described(place.field, schema)
        if place.day is not None and field.name == "date":
            text = place.day.isoformat()
            if conforms(text, schema, self._document):
                return text
        if place.depth == 1 and subject_of(field) == "name":
            text = self._prose.protagonist()
            if conforms(text, schema, self._document):
                return text
        return fitting_text(schema, field, self._prose)

    # --- objects -------------------------------------------------------------------------------

    def _object(self, schema: dict[str, Any], place: _Place) -> dict[str, Any]:
        around = (*(text for text in (place.field.name, schema.get("title")) if text),)
        around += place.field.surroundings
        value: dict[str, Any] = {}
        for name in self._wanted(schema, place):
            field = Field(name, around[:4], in_list=place.field.in_list)
            try:
                value[name] = self.at(
                    _bound_by(name, schema), place._replace(field=field, depth=place.depth + 1)
                )
            except TooLargeError:
                raise
            except UnusableSchemaError:
                if name in schema.get("required", ()):
                    raise
        self._fill_up(value, schema, place, around)
        return value

    def _wanted(self, schema: dict[str, Any], place: _Place) -> list[str]:
        required = schema.get("required", [])
        named = schema.get("properties", {})
        minimal = self._minimal(place)
        room = schema.get("maxProperties", math.inf) - len(set(required))
        wanted: list[str] = []
        for name, part in named.items():
            if name in required:
                wanted.append(name)
            elif room > 0 and not math.isinf(self._document.height(part)):
                if minimal and len(wanted) >= schema.get("minProperties", 0):
                    continue
                wanted.append(name)
                room -= 1
        wanted += [name for name in dict.fromkeys(required) if name not in named]
        return self._with_dependents(wanted, schema)

    def _with_dependents(self, wanted: list[str], schema: dict[str, Any]) -> list[str]:
        dependents = schema.get("dependentRequired", {})
        for name in wanted:  # grows while it is walked, so chains are followed
            wanted.extend(other for other in dependents.get(name, ()) if other not in wanted)
        return wanted

    def _fill_up(
        self,
        value: dict[str, Any],
        schema: dict[str, Any],
        place: _Place,
        around: tuple[str, ...],
    ) -> None:
        """Add properties of free names: two or three to a mapping, else as few as must be."""
        least = schema.get("minProperties", 0)
        open_ended = schema.get("additionalProperties", True)
        is_mapping = isinstance(open_ended, dict) and not value and not self._minimal(place)
        target = max(least, self._rng.randint(2, 3) if is_mapping else 0)
        target = min(target, schema.get("maxProperties", math.inf))
        for _ in range(20 * int(target)):
            if len(value) >= target:
                return
            name = self._free_name(schema, open_ended)
            if name in value:
                continue
            field = place.field._replace(name=name) if open_ended is True else place.field
            value[name] = self.at(
                _bound_by(name, schema), place._replace(field=field, depth=place.depth + 1)
            )
        if len(value) < least:
            raise UnusableSchemaError(f"found no {least} property names for an object")

    def _free_name(self, schema: dict[str, Any], open_ended: Schema) -> str:
        names = schema.get("propertyNames", True)
        if open_ended is False:
            patterns = list(schema.get("patternProperties", ()))
            if not patterns:
                raise UnusableSchemaError("an object needs more properties than it may have")
            return matching(self._rng.choice(patterns), self._rng)
        if names is True:
            return f"{self._prose.slug()}_{self._rng.randrange(100)}"
        return str(self.at(both({"type": "string"}, names), _Place(Field("word"))))

    # --- arrays --------------------------------------------------------------------------------

    def _array(self, schema: dict[str, Any], place: _Place) -> list[Any]:
        days = self._days(schema)
        count = self._count(schema, place, days)
        prefix = schema.get("prefixItems", [])
        items: list[Any] = []
        for at in range(count):
            part = prefix[at] if at < len(prefix) else schema.get("items", True)
            here = place._replace(
                field=_described(place.field, schema)._replace(in_list=True),
                depth=place.depth + 1,
                day=days[at] if at < len(days) else _after(days, at),
            )
            self._prose.next_entry()
            if not self._add(items, part, here, unique=schema.get("uniqueItems", False)):
                break
        if len(items) < schema.get("minItems", 0):
            raise UnusableSchemaError("found too few different items for an array")
        self._put_contained(items, schema, place)
        return items

    def _add(self, items: list[Any], part: Schema, place: _Place, *, unique: bool) -> bool:
        """Append an item unlike the others if there is one; False if there must be and is none."""
        value: Any = None
        for _ in range(40 * len(items) + 60 if unique else 5):
            value = self.at(part, place)
            if not any(same(value, other) for other in items):
                items.append(value)
                return True
        if not unique:
            items.append(value)
        return not unique

    def _count(self, schema: dict[str, Any], place: _Place, days: tuple[datetime.date, ...]) -> int:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", math.inf)
        prefix = len(schema.get("prefixItems", ()))
        rest = schema.get("items", True)
        if rest is False:
            most = min(most, prefix)
        if least > most:
            raise UnusableSchemaError(f"an array of {least} or more and {most} or fewer items")
        if self._minimal(place) or math.isinf(self._document.height(rest)):
            return int(min(max(least, prefix), most)) if rest is False or prefix else least
        wanted: float = len(days) or _said(schema) or 0
        if not wanted:
            first = max(least or 2, prefix)
            wanted = self._rng.randint(first, first + 2)
        return int(min(max(wanted, least), most))

    def _days(self, schema: dict[str, Any]) -> tuple[datetime.date, ...]:
        """The prompt's calendar days, when this is a list of things that each have a date."""
        days = self._prose.prompt.days
        items = schema.get("items", True)
        if not days or isinstance(items, bool):
            return ()
        flat, _, _ = flattened(items, self._document)
        return days if "date" in flat.get("properties", {}) else ()

    def _put_contained(self, items: list[Any], schema: dict[str, Any], place: _Place) -> None:
        if "contains" not in schema:
            return
        wanted = schema.get("minContains", 1)
        part = both(schema.get("items", True), schema["contains"])
        loose = [
            at
            for at, item in enumerate(items)
            if not conforms(item, schema["contains"], self._document)
        ]
        missing = wanted - (len(items) - len(loose))
        for _ in range(missing):
            value = self.at(part, place._replace(depth=place.depth + 1))
            if loose:
                items[loose.pop()] = value
            else:
                items.append(value)


_SAID = re.compile(r"\b(?:exactly |正好|恰好)(\d{1,2})\b")


def _bound_by(name: str, schema: dict[str, Any]) -> Schema:
    part: Schema = True
    for other in parts_for(name, schema):
        part = both(part, other)
    return part


def _described(field: Field, schema: dict[str, Any]) -> Field:
    said = schema.get("description", "")
    return field._replace(description=said) if said else field


def _said(schema: dict[str, Any]) -> int:
    match = _SAID.search(schema.get("description", ""))
    return int(match[1]) if match else 0


def _after(days: tuple[datetime.date, ...], at: int) -> datetime.date | None:
    if not days:
        return None
    return days[-1] + datetime.timedelta(days=at - len(days) + 1)


def _is_null(schema: Schema) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"

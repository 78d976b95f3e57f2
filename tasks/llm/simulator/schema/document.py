"""A JSON schema as a document: its references, and how deep an instance must be at least.

Supported is JSON Schema 2020-12 as pydantic emits it and a good deal more; what is not:
references to other documents, `$dynamicRef`, `unevaluated*`.
"""

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from tasks.errors import BadInputError

Schema = dict[str, Any] | bool

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")

_BRANCHES = ("anyOf", "oneOf")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
)  # fmt: skip
_KEYWORDS: dict[str, tuple[type, ...] | type] = {
    **dict.fromkeys((*_MAPS, "dependentRequired"), dict),
    **dict.fromkeys((*_LISTS, "required", "enum"), list),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (int, float)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), int),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), int),
    **dict.fromkeys(("pattern", "format", "$ref", "$anchor", "description", "title"), str),
    "multipleOf": (int, float),
    "uniqueItems": bool,
    "type": (str, list),
}


class UnusableSchemaError(BadInputError):
    """The schema is broken, unsupported, or no finite document is valid for it."""


class SchemaDocument:
    """One schema with its references resolved on demand; immutable, shared between requests.

    Raises UnusableSchemaError for a dangling reference, or when only endless documents are valid.
    """

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._resolved: dict[str, Schema] = {}
        self._nodes: dict[int, dict[str, Any]] = {}
        self._walk([root])
        self._anchors = {n["$anchor"]: n for n in self._nodes.values() if "$anchor" in n}
        self._walk([self.resolve(n["$ref"]) for n in self._nodes.values() if "$ref" in n])
        self._heights: dict[int, float] = {}
        self._settle_heights()
        if math.isinf(self.height(root)):
            raise UnusableSchemaError("no finite document can satisfy this schema")

    def resolve(self, ref: str) -> Schema:
        """The schema that a local reference (`#`, `#/$defs/Name`, `#anchor`) points at."""
        if ref not in self._resolved:
            self._resolved[ref] = self._looked_up(ref)
        return self._resolved[ref]

    def height(self, schema: Schema) -> float:
        """How many levels the flattest valid instance has; infinite when it never ends."""
        if isinstance(schema, bool):
            return 0 if schema else math.inf
        known = self._heights.get(id(schema))
        return self._measured(schema) if known is None else known

    def _looked_up(self, ref: str) -> Schema:
        if not ref.startswith("#"):
            raise UnusableSchemaError(f"unsupported $ref {ref!r}: only local references work")
        pointer = unquote(ref[1:])
        if pointer and not pointer.startswith("/"):
            if pointer not in self._anchors:
                raise UnusableSchemaError(f"$ref {ref!r} points at nothing")
            return self._anchors[pointer]
        found: Any = self.root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise UnusableSchemaError(f"$ref {ref!r} points at nothing") from error
        if not isinstance(found, dict | bool):
            raise UnusableSchemaError(f"$ref {ref!r} does not point at a schema")
        return found

    def _walk(self, pending: list[Schema]) -> None:
        # A reference may lead to where no keyword does (`#/components/schemas/Name`).
        while pending:
            node = pending.pop()
            _checked(node)
            if isinstance(node, dict) and id(node) not in self._nodes:
                self._nodes[id(node)] = node
                pending.extend(_children(node))
                if str(node.get("$ref", "")).startswith("#/"):
                    pending.append(self.resolve(node["$ref"]))

    def _settle_heights(self) -> None:
        # A least fixed point: everything is endless until shown otherwise.
        self._heights = dict.fromkeys(self._nodes, math.inf)
        changed = True
        while changed:
            changed = False
            for node in self._nodes.values():
                height = self._measured(node)
                if height < self._heights[id(node)]:
                    self._heights[id(node)] = height
                    changed = True

    def _measured(self, schema: dict[str, Any]) -> float:
        if "const" in schema or "enum" in schema:
            return 0
        height: float = self._own_height(schema)
        if "$ref" in schema:
            height = max(height, self.height(self.resolve(schema["$ref"])))
        for part in schema.get("allOf", ()):
            height = max(height, self.height(part))
        for key in _BRANCHES:
            if key in schema:
                height = max(height, min(map(self.height, schema[key]), default=math.inf))
        return height

    def _own_height(self, schema: dict[str, Any]) -> float:
        types = schema.get("type")
        kinds = [types] if isinstance(types, str) else types or ["object", "array"]
        return min((self._height_as(schema, kind) for kind in kinds), default=math.inf)

    def _height_as(self, schema: dict[str, Any], kind: str) -> float:
        if kind == "object":
            named = schema.get("properties", {})
            needed = [
                self.height(named[name]) for name in schema.get("required", ()) if name in named
            ]
            return 1 + max(needed, default=0) if needed else 0
        if kind == "array" and schema.get("minItems", 0) > 0:
            prefix = schema.get("prefixItems", [])[: schema["minItems"]]
            needed = [self.height(item) for item in prefix]
            if schema["minItems"] > len(prefix):
                needed.append(self.height(schema.get("items", True)))
            return 1 + max(needed)
        return 0


@lru_cache(maxsize=256)
def document_of(serialised: str) -> SchemaDocument:
    """The document for a schema's JSON text; parsed once, then shared."""
    return SchemaDocument(json.loads(serialised))


def _checked(node: Any) -> None:
    if isinstance(node, bool):
        return
    if not isinstance(node, dict):
        raise UnusableSchemaError(f"a schema is an object or a boolean, not {node!r:.60}")
    for keyword, kinds in _KEYWORDS.items():
        value = node.get(keyword)
        right = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
        if keyword in node and not right:
            raise UnusableSchemaError(f"the schema's {keyword!r} cannot be {value!r:.60}")
    kinds = node.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in TYPES:
            raise UnusableSchemaError(f"the schema's type {kind!r} does not exist")


def _children(node: dict[str, Any]) -> Iterator[Any]:
    for keyword in _MAPS:
        yield from node.get(keyword, {}).values()
    for keyword in _LISTS:
        yield from node.get(keyword, ())
    for keyword in _SINGLE:
        if keyword in node:
            yield node[keyword]

"""Reduces a JSON schema to what OpenAI's strict mode takes; pydantic checks the rest of it later.

Supported are types, properties, required, enum, const, anyOf, $ref, $defs, pattern, format, numeric
bounds and item counts; everything else is refused with 400 (platform.openai.com/docs/guides/
structured-outputs, "Supported schemas"; github.com/simonw/llm/pull/1677, read 2026-11).
"""

from collections.abc import Mapping
from typing import Any

KEPT = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)
OF_SCHEMAS = ("$defs", "properties")
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what strict mode refuses; objects are closed and every property required.

    A reference stands alone, `oneOf` becomes `anyOf`, an `allOf` of one schema becomes that schema.
    """
    if "$ref" in schema and "$defs" not in schema:
        return {"$ref": schema["$ref"]}
    if "$ref" in schema:  # a recursive root, which must be an object itself
        schema = {**schema["$defs"][schema["$ref"].rpartition("/")[2]], "$defs": schema["$defs"]}
    if len(schema.get("allOf", ())) == 1:
        schema = {**schema["allOf"][0], **schema}
    if "oneOf" in schema:
        schema = {"anyOf": schema["oneOf"], **schema}
    strict = {key: inner(key, value) for key, value in schema.items() if key in KEPT}
    if strict.get("format") not in FORMATS:
        strict.pop("format", None)
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
        strict["additionalProperties"] = False
    return strict


def inner(key: str, value: Any) -> Any:
    """Reduce what a keyword holds."""
    if key in OF_SCHEMAS:
        return {name: strict_schema(schema) for name, schema in value.items()}
    if key == "anyOf":
        return [strict_schema(schema) for schema in value]
    if key == "items" and isinstance(value, Mapping):
        return strict_schema(value)
    return value

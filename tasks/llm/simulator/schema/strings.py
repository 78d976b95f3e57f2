"""One string for a string schema: about what its field is about, as long as it may be.

The words come from `prose`, the shape from `pattern`, `format` and the lengths.
"""

import datetime
import math
import random
import uuid
from typing import Any

from tasks.llm.simulator.prose.prose import Prose
from tasks.llm.simulator.prose.subjects import Field
from tasks.llm.simulator.schema.conforms import compiled
from tasks.llm.simulator.schema.document import UnusableSchemaError
from tasks.llm.simulator.schema.pattern import matching

_PATTERN_TRIES = 60
_READABLE = ("date", "clock", "word", "name", "hashtag", "uri", "email")


def fitting_text(schema: dict[str, Any], field: Field, prose: Prose) -> str:
    """A string that is valid for this string schema.

    Raises UnusableSchemaError when its lengths and pattern cannot be met (or were not, in
    60 tries).
    """
    low = schema.get("minLength", 0)
    high = schema.get("maxLength", math.inf)
    if low > high:
        raise UnusableSchemaError(f"a string of {low} or more and {high} or fewer characters")
    if "pattern" in schema:
        return _patterned(schema, field, prose, low, high)
    shaped = _of_format(schema.get("format", ""), prose)
    if shaped is not None and low <= len(shaped) <= high:
        return shaped
    return _of_length(prose.about(field), field, prose, low, high)


def _patterned(schema: dict[str, Any], field: Field, prose: Prose, low: int, high: float) -> str:
    pattern = compiled(schema["pattern"])
    shaped = _of_format(schema.get("format", ""), prose)
    if shaped is not None and low <= len(shaped) <= high and pattern.search(shaped):
        return shaped
    for text in (prose.about(field), *(prose.on(subject) for subject in _READABLE)):
        if low <= len(text) <= high and pattern.search(text):
            return text
    for attempt in range(_PATTERN_TRIES):
        text = matching(pattern.pattern, prose.rng, least=low if attempt % 2 else 0)
        if len(text) < low and not pattern.pattern.endswith("$"):
            text += "x" * (low - len(text))
        if low <= len(text) <= high and pattern.search(text):
            return text
    raise UnusableSchemaError(
        f"found no string for pattern {pattern.pattern!r} of {low} to {high} characters"
    )


def _of_length(text: str, field: Field, prose: Prose, low: int, high: float) -> str:
    gap = " " if prose.language_of(field) == "en" else ""
    while len(text) < low:
        text += gap + prose.on("statement", prose.language_of(field))
    if len(text) <= high:
        return text
    return _cut(text, low, int(high))


def _cut(text: str, low: int, high: int) -> str:
    """At the end of a sentence, else between words, else in the middle of one."""
    text = text[:high]
    floor = max(low, high // 2)
    sentence = max(text.rfind(end) for end in ".!?。！？") + 1
    if sentence >= floor:
        return text[:sentence]
    word = max(text.rfind(gap) for gap in " ，、")
    return text[:word] if word >= floor else text


def _of_format(name: str, prose: Prose) -> str | None:
    rng = prose.rng
    match name:
        case "date":
            return prose.day().isoformat()
        case "date-time":
            return f"{prose.day().isoformat()}T{_clock(rng)}Z"
        case "time":
            return f"{_clock(rng)}Z"
        case "duration":
            return f"PT{rng.randint(5, 90)}M"
        case "uri" | "url" | "uri-reference" | "iri" | "iri-reference":
            return prose.on("uri")
        case "email" | "idn-email":
            return prose.on("email")
        case "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        case "hostname" | "idn-hostname":
            return f"{prose.slug()}.example.org"
        case "ipv4":
            return f"192.0.2.{rng.randint(1, 254)}"
        case "ipv6":
            return f"2001:db8::{rng.randint(1, 0xFFFF):x}"
    return None


def _clock(rng: random.Random) -> str:
    return datetime.time(rng.randrange(24), rng.randrange(60), rng.randrange(60)).isoformat()

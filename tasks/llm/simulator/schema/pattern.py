"""Strings that match a regular expression, sampled from its parse tree.

Lookarounds and back-references are passed over while sampling; the caller checks the match.
"""

import random
import string
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from tasks.llm.simulator.schema.conforms import compiled

_MANY = 3  # how often more than its minimum an open-ended repeat is repeated
_ANY = string.ascii_lowercase + string.digits
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_NOT_DIGIT": string.ascii_letters,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": string.ascii_letters + string.digits,
    "CATEGORY_WORD": string.ascii_lowercase + string.digits + "_",
    "CATEGORY_NOT_WORD": " -.",
}
_PRINTABLE = "".join(chr(code) for code in range(32, 127))


def matching(pattern: str, rng: random.Random, *, least: int = 0) -> str:
    """One string that is meant to match; open-ended repeats stretch it towards `least` characters.

    Raises UnusableSchemaError for a pattern that Python's `re` does not read.
    """
    compiled(pattern)
    return _Sampler(rng, least).text(_parser.parse(pattern))


class _Sampler:
    def __init__(self, rng: random.Random, least: int) -> None:
        self._rng = rng
        self._least = least

    def text(self, tree: Any) -> str:
        return "".join(self._piece(str(op), argument) for op, argument in tree)

    def _piece(self, op: str, argument: Any) -> str:
        match op:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL":
                return self._rng.choice(_ANY.replace(chr(argument), ""))
            case "ANY":
                return self._rng.choice(_ANY)
            case "IN":
                return self._rng.choice(_characters(argument))
            case "BRANCH":
                return self.text(self._rng.choice(argument[1]))
            case "SUBPATTERN":
                return self.text(argument[-1])
            case "ATOMIC_GROUP":
                return self.text(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeated(*argument)
            case _:  # anchors and lookarounds take no room
                return ""

    def _repeated(self, low: int, high: int, tree: Any) -> str:
        high = min(int(high), max(int(low) + _MANY, self._least))
        low = min(max(int(low), self._least), high) if self._least else int(low)
        return "".join(self.text(tree) for _ in range(self._rng.randint(low, high)))


def _characters(members: Any) -> str:
    chosen = ""
    negated = False
    for op, argument in members:
        match str(op):
            case "NEGATE":
                negated = True
            case "LITERAL":
                chosen += chr(argument)
            case "RANGE":
                first, last = argument
                chosen += "".join(map(chr, range(first, min(last, first + 200) + 1)))
            case "CATEGORY":
                chosen += _CATEGORIES[str(argument)]
    if not negated:
        return chosen
    left = [c for c in _ANY if c not in chosen] or [c for c in _PRINTABLE if c not in chosen]
    return "".join(left) or "\u00b7"

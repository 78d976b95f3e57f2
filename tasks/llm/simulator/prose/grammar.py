"""A small template grammar: rules of `[slots]`, expanded with a seeded generator.

Which rules there are, and in which language, is the lexicons' business.

    [mood]      any mood, another each time
    [=mood]     the bound mood: chosen once, then kept for as long as `bound` keeps it
    [a mood]    with the English article that fits, also `[a =mood]` and `[A mood]`
    [Mood]      with a capital first letter, also `[=Mood]`

Anything else is literal, braces too: `{{user}}` stays as it is.
"""

import random
import re
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

_SLOT = re.compile(r"\[([aA] )?(=)?([A-Za-z_]+)\]")

Rules = Mapping[str, tuple[str, ...]]


class Slot(NamedTuple):
    """One place in a template that another rule fills."""

    rule: str
    bound: bool
    article: str
    capital: bool


Template = tuple[str | Slot, ...]


class Grammar:
    """Rules parsed once, expanded many times.

    Raises KeyError at construction for a slot that no rule fills, so a typo cannot hide.
    """

    def __init__(self, rules: Rules, *, given: frozenset[str] = frozenset()) -> None:
        self._rules: dict[str, tuple[Template, ...]] = {
            name: tuple(_parsed(template) for template in templates)
            for name, templates in rules.items()
        }
        for name, templates in self._rules.items():
            for piece in (piece for template in templates for piece in template):
                if isinstance(piece, Slot) and piece.rule not in self._rules.keys() | given:
                    raise KeyError(f"rule {name!r} uses [{piece.rule}], which is no rule")

    def __contains__(self, rule: str) -> bool:
        return rule in self._rules

    def expand(self, rule: str, rng: random.Random, bound: MutableMapping[str, str]) -> str:
        """One text of this rule; what `[=slots]` choose is kept in `bound`."""
        templates = self._rules[rule]
        template = templates[int(rng.random() * len(templates))]
        if len(template) == 1 and isinstance(template[0], str):
            return template[0]
        said: list[str] = []
        for piece in template:
            said.append(piece if isinstance(piece, str) else self._new(piece, said, rng, bound))
        return "".join(said)

    def _new(
        self,
        slot: Slot,
        said: list[str],
        rng: random.Random,
        bound: MutableMapping[str, str],
    ) -> str:
        # "patient and patient" reads badly: draw again, but not for ever from a short list
        for _ in range(4):
            text = self._filled(slot, rng, bound)
            if slot.bound or text not in said:
                break
        return text

    def _filled(self, slot: Slot, rng: random.Random, bound: MutableMapping[str, str]) -> str:
        if not slot.bound:
            text = self.expand(slot.rule, rng, bound)
        elif slot.rule in bound:
            text = bound[slot.rule]
        else:
            text = bound[slot.rule] = self.expand(slot.rule, rng, bound)
        if slot.article:
            text = f"{slot.article}{'n' if text[:1].lower() in 'aeiou' else ''} {text}"
        return text[:1].upper() + text[1:] if slot.capital else text


def _parsed(template: str) -> Template:
    pieces: list[str | Slot] = []
    end = 0
    for match in _SLOT.finditer(template):
        if match.start() > end:
            pieces.append(template[end : match.start()])
        article, bound, name = match.groups()
        pieces.append(
            Slot(
                rule=name[0].lower() + name[1:],
                bound=bound is not None,
                article=(article or "").strip(),
                capital=name[0].isupper(),
            )
        )
        end = match.end()
    if end < len(template):
        pieces.append(template[end:])
    return tuple(pieces)

"""The words and sentence patterns of each language, read from the text files beside this module."""

import re
from functools import cache
from importlib.resources import files

_RULE = re.compile(r"== (\w+)")


@cache
def lexicon(language: str) -> dict[str, tuple[str, ...]]:
    """The rules of `english` or `chinese`: each name with its alternatives.

    `== rule` opens a rule, each line below is one alternative, `\\n` in it is a line break;
    `#` at the start of a file's line is a comment before the first rule only.
    """
    text = files("tasks.llm.simulator.prose").joinpath(f"{language}.txt").read_text("utf-8")
    rules: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        if opened := _RULE.fullmatch(line):
            lines = rules.setdefault(opened[1], [])
        elif line and lines is not None:
            lines.append(line.replace("\\n", "\n"))
    return {rule: tuple(alternatives) for rule, alternatives in rules.items()}

"""Lets an option take several values in a row: `--brief a.md b.md` is `--brief a.md --brief b.md`.

The option parser knows only repetition; a shell's `cards/*.json` gives a row.
"""

from collections.abc import Sequence

SEVERAL = frozenset(
    {"--brief", "--image", "--text", "--calendar", "--persona", "--gpu", "--topics"}
)
BY_COMMAND = {"images": frozenset({"--tweets"})}


def repeated(arguments: Sequence[str]) -> list[str]:
    """Repeat the option before each value of a row."""
    command = next((a for a in arguments if not a.startswith("-")), "")
    several = SEVERAL | BY_COMMAND.get(command, frozenset())
    result: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            option = argument if argument in several else ""
        elif option and result[-1] != option:
            result.append(option)
        result.append(argument)
    return result

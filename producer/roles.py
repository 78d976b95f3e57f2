"""Who can take part in a discussion: the roles that come with Castline, and a user's own file."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from producer.inputs import read_text
from tasks.errors import BadInputError
from tasks.schemas.discussions import PROMPT_CHARACTERS, Agent

BUILT_IN: Mapping[str, Agent] = MappingProxyType(
    {
        agent.name: agent
        for agent in (
            Agent(
                name="scientist",
                prompt="You ask what is known, how well, and what would prove it wrong. You name "
                "orders of magnitude and the experiment that is missing.",
            ),
            Agent(
                name="economist",
                prompt="You ask who pays, who gains, what people will do once the rule is known, "
                "and what is given up for it.",
            ),
            Agent(
                name="ethicist",
                prompt="You ask who is not in the room, what is owed to them, and where a good aim "
                "excuses a bad means.",
            ),
            Agent(
                name="engineer",
                prompt="You ask how it would be built, maintained and repaired, what fails first, "
                "and what the simplest version is.",
            ),
            Agent(
                name="historian",
                prompt="You ask when this was tried before, under which circumstances, and what "
                "people then were wrong about.",
            ),
            Agent(
                name="critic",
                prompt="You look for the weakest point of what was just said, state it fairly and "
                "do not let go before it is answered.",
            ),
            Agent(
                name="moderator",
                prompt="You lead the discussion: you hold no opinion on the topic, you notice "
                "agreement and open questions, and you keep it moving.",
                moderator=True,
            ),
        )
    }
)
EXAMPLE = 'write [roles.skeptic] with prompt = "You doubt …"'
DEFAULT = ("scientist", "economist", "ethicist", "critic", "moderator")


def chosen_agents(names: Sequence[str], file: Path | None) -> tuple[Agent, ...]:
    """Choose who takes part: these roles, else all of the file's, else the default ones.

    Raises BadInputError for a role that nobody knows, or that takes part twice.
    """
    return choose(names, read_roles(file) if file else {})


def choose(names: Sequence[str], own: Mapping[str, Agent]) -> tuple[Agent, ...]:
    """Choose who takes part: these roles, else all of a user's own, else the default ones.

    Raises BadInputError for a role that nobody knows, or that takes part twice.
    """
    known = {**BUILT_IN, **own}
    wanted = list(names) or list(own) or list(DEFAULT)
    for name in wanted:
        if name not in known:
            raise BadInputError(
                f"unknown role {name!r}", hint=f"known: {', '.join(known)}, or roles of your own"
            )
    if len(set(wanted)) < len(wanted):
        raise BadInputError("a role takes part twice", hint="name each role once")
    return tuple(known[name] for name in wanted)


def read_roles(file: Path) -> dict[str, Agent]:
    """Read a TOML file of `[roles.NAME]` tables with `prompt` and, for one who leads, `moderator`.

    Raises BadInputError that names the file, the role and what is wrong.
    """
    try:
        tables = tomllib.loads(read_text(file, what="roles file", hint=EXAMPLE)).get("roles")
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{file} is not TOML: {error}", hint=EXAMPLE) from error
    if not isinstance(tables, dict) or not tables:
        raise BadInputError(f"{file} has no roles", hint=EXAMPLE)
    return {name: role_of(file, name, table) for name, table in tables.items()}


def role_of(file: Path, name: str, table: object) -> Agent:
    """Check one table. Raises BadInputError."""
    if not isinstance(table, dict):
        raise BadInputError(f"{file}: roles.{name} is no table")
    prompt = table.get("prompt")
    if isinstance(prompt, str) and len(prompt) > PROMPT_CHARACTERS:
        raise BadInputError(
            f"{file}: the prompt of role {name!r} has {len(prompt):,} characters",
            hint=f"at most {PROMPT_CHARACTERS:,}: the transcript has to fit beside it",
        )
    try:
        return Agent.model_validate({"name": name, **table})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"{file}: roles.{name}.{key}: {first['msg']}") from None

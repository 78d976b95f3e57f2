"""Who takes part in a discussion."""

from pathlib import Path

import pytest

from producer.roles import BUILT_IN, DEFAULT, chosen_agents
from tasks.errors import BadInputError
from tasks.schemas.discussions import PROMPT_CHARACTERS


def test_without_a_choice_the_default_roles_take_part() -> None:
    assert tuple(agent.name for agent in chosen_agents([], None)) == DEFAULT
    assert [name for name, agent in BUILT_IN.items() if agent.moderator] == ["moderator"]


def test_a_file_adds_roles_and_alone_replaces_the_default_ones(tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    file.write_text('[roles.skeptic]\nprompt = "You doubt."\n[roles.chair]\nprompt = "You lead."\n'
                    "moderator = true\n")  # fmt: skip
    assert [agent.name for agent in chosen_agents([], file)] == ["skeptic", "chair"]
    mixed = chosen_agents(["critic", "skeptic"], file)
    assert [agent.name for agent in mixed] == ["critic", "skeptic"]
    assert chosen_agents(["chair"], file)[0].moderator


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml [", "is not TOML"),
        ("", "is empty"),
        ("[other]", "has no roles"),
        ("[roles.x]\nmoderator = true", "roles.x.prompt"),
        ("[roles.x]\nprompt = 5", "roles.x.prompt"),
        ('[roles.x]\nprompt = "p"\nmood = "sad"', "roles.x.mood"),
        (f'[roles.x]\nprompt = "{"y" * (PROMPT_CHARACTERS + 1)}"', "8,001 characters"),
    ],
)
def test_a_wrong_file_says_which_role_and_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(text)
    with pytest.raises(BadInputError, match=said):
        chosen_agents([], file)


def test_an_unknown_role_lists_those_that_are_known() -> None:
    with pytest.raises(BadInputError, match="'wizard'") as caught:
        chosen_agents(["wizard"], None)
    assert "scientist" in caught.value.hint


def test_a_role_takes_part_once() -> None:
    with pytest.raises(BadInputError, match="twice"):
        chosen_agents(["critic", "critic"], None)

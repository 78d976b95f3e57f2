"""Which model a search is made with: its document names it, so another one makes it due again."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tasks.llm.providers import Provider
from tasks.schemas.analyses import Analysis
from tasks.topics import search_model
from tests.caller import provider_at


@dataclass(frozen=True)
class Only:
    """What the choice asks of everything that a process works with."""

    provider: Provider | None


@pytest.mark.parametrize(
    ("own", "asked", "model"),
    [("", "", "m-1"), ("looker", "", "looker"), ("looker", "finder", "finder")],
)
def test_the_one_that_was_asked_for_searches_else_the_providers_own(
    own: str, asked: str, model: str
) -> None:
    deps: Any = Only(replace(provider_at("http://127.0.0.1:1"), tool_model=own))
    assert search_model(deps, Analysis(topics=("Clocks",), tool_model=asked)) == model

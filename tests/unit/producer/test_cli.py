"""A command that is started alone is the one of the whole command line."""

import pytest
from typer.testing import CliRunner

from producer.cli import ALONE, command_line
from producer.commands.whole import app


@pytest.mark.parametrize("command", sorted(ALONE))
def test_a_command_alone_says_of_itself_what_the_whole_command_line_says(command: str) -> None:
    alone, whole = (
        CliRunner().invoke(line, [command, "--help"]) for line in (command_line(command), app)
    )
    assert alone.exit_code == whole.exit_code == 0
    assert alone.output == whole.output


def test_what_is_no_command_meets_the_whole_command_line() -> None:
    for first in ("", "--debug", "--help", "nonsense"):
        assert command_line(first) is app

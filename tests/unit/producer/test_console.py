"""What a command says when its reader or its Redis goes away."""

import subprocess
import sys

import pytest
import typer
from redis.exceptions import ConnectionError as RedisConnectionError

from producer.console import SERVICE_AWAY, reporting

FLOOD = """
from producer.console import reporting
import sys
@reporting
def flood():
    while True:
        sys.stdout.write("a line\\n")
flood()
"""


def test_a_reader_that_has_enough_is_no_trouble_with_redis() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "a line\n"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=30)
    assert "Redis" not in said
    assert "BrokenPipe" not in said


def test_redis_that_goes_away_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    @reporting
    def away() -> None:
        raise RedisConnectionError("away")

    with pytest.raises(typer.Exit) as caught:
        away()
    assert caught.value.exit_code == SERVICE_AWAY

"""Where the topics of an analysis come from: the command line, a file, stdin."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from producer.analyses import cleaned
from producer.commands.analyze import from_file, given, order_of
from tasks.errors import BadInputError


def test_a_file_or_stdin_has_a_topic_on_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "新能源\n\n  \nDeep sea mining\n"
    file = tmp_path / "topics.txt"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert from_file(str(file)) == from_file("-") == ["新能源", "Deep sea mining"]
    assert from_file("") == []


def test_10_000_topics_belong_into_a_file(tmp_path: Path) -> None:
    many = [f"topic {number}" for number in range(10_000)]
    with pytest.raises(BadInputError, match="10,000 topics on the command line") as caught:
        given(many)
    assert "--topics-file" in caught.value.hint
    file = tmp_path / "topics.txt"
    file.write_text("\n".join(many))
    assert from_file(str(file)) == many


def test_a_topic_of_a_megabyte_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "mega.txt"
    file.write_text("one\n" + "x" * 1_000_000)
    with pytest.raises(BadInputError, match="topic 2 has 1,000,000 characters") as caught:
        cleaned(from_file(str(file)))
    assert len(f"{caught.value} {caught.value.hint}") < 300


@pytest.mark.parametrize(
    ("option", "figures"),
    [
        ("--iterations", {"iterations": -1}),
        ("--delay", {"delay_s": float("inf")}),
        ("--delay", {"delay_s": -1}),
        ("--concurrency", {"concurrency": 0}),
        ("--timeout", {"analysis": {"timeout_s": float("inf")}}),
        ("--timeout", {"analysis": {"timeout_s": float("nan")}}),
        ("--max-retries", {"analysis": {"max_retries": -1}}),
        ("--batch-size", {"analysis": {"batch_size": -1}}),
    ],
)
def test_a_figure_that_is_none_names_its_option(option: str, figures: dict[str, Any]) -> None:
    analysis = {"topics": ("Clocks",), **figures.pop("analysis", {})}
    with pytest.raises(BadInputError, match=f"^{option}: "):
        order_of(analysis=analysis, **figures)


def test_stdin_that_is_no_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(BadInputError, match="stdin is not UTF-8"):
        from_file("-")

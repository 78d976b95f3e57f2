"""Where the topics of an analysis come from: the command line, a file, stdin."""

import io
import sys
from pathlib import Path

import pytest

from producer.commands.analyze import from_file, given
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


def test_stdin_that_is_no_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(BadInputError, match="stdin is not UTF-8"):
        from_file("-")

"""The file of an analysis: replaced whole, or left as it was."""

import json
from pathlib import Path

import pytest

from producer.analysis_file import check_file, write_file
from tasks.errors import BadInputError


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for count in (2, 1):
        write_file(path, {"results": ["话题"] * count})
    assert json.loads(path.read_text(encoding="utf-8")) == {"results": ["话题"]}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_half_way_leaves_the_file_of_the_round_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_file(path, {"round": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BadInputError, match="No space left") as caught:
        write_file(path, {"round": 2})
    assert "castline results RUN" in caught.value.hint
    assert json.loads(path.read_text()) == {"round": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "results.json"):
        with pytest.raises(BadInputError, match="--output"):
            check_file(path)

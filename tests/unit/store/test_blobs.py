"""Blobs come back as they went in."""

from pathlib import Path

import pytest

from tasks.errors import BadInputError, ConfigurationError, ServiceAwayError
from tasks.store.blobs import Blobs


def test_a_blob_comes_back_as_it_was_put_and_a_second_put_replaces_it(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/b")
    assert blobs.get("a/b.png") is None
    blobs.put("a/b.png", b"one")
    blobs.put("a/b.png", b"two")
    assert blobs.get("a/b.png") == b"two"
    assert [p.name for p in (tmp_path / "b" / "a").iterdir()] == ["b.png"]


def test_a_key_cannot_leave_the_store(tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        Blobs(f"file://{tmp_path}").put("../x", b"")


def test_an_unknown_protocol_is_a_configuration_error_that_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="CASTLINE_BLOBS"):
        Blobs("gopher9://x")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceAwayError):
        Blobs(f"file://{tmp_path}/file").put("a/b", b"x")

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from tasks.images import tiny
from tasks.images.tiny import RECIPE, byte_symbols, tiny_folder

BUILDERS = 4


class Built:
    """Stands for a pipeline: saves two files, after everybody else has built one too."""

    def __init__(self, everybody: threading.Barrier) -> None:
        self.everybody = everybody
        self.inode = 0

    def save_pretrained(self, folder: Path) -> None:
        self.inode = folder.stat().st_ino
        (folder / "model_index.json").write_text("{}")
        self.everybody.wait(timeout=30)
        (folder / "weights").write_text("w")


def test_builders_at_the_same_moment_all_get_one_whole_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everybody = threading.Barrier(BUILDERS)
    built = [Built(everybody) for _ in range(BUILDERS)]
    monkeypatch.setattr(tiny, "build_tiny", iter(built).__next__)
    with ThreadPoolExecutor(BUILDERS) as pool:
        folders = list(pool.map(tiny_folder, [tmp_path / "models"] * BUILDERS))
    assert set(folders) == {tmp_path / "models" / RECIPE}
    assert sorted(file.name for file in folders[0].iterdir()) == ["model_index.json", "weights"]
    # Moved into place, not copied: nobody can have seen half of it.
    assert folders[0].stat().st_ino in {one.inode for one in built}
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == [RECIPE]


def test_a_folder_that_is_there_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / RECIPE).mkdir()
    monkeypatch.delattr(tiny, "build_tiny")
    assert tiny_folder(tmp_path) == tmp_path / RECIPE


def test_a_build_that_fails_leaves_nothing_that_looks_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        def save_pretrained(self, folder: Path) -> None:
            (folder / "model_index.json").write_text("{}")
            raise OSError("No space left on device")

    monkeypatch.setattr(tiny, "build_tiny", Full)
    with pytest.raises(ConfigurationError, match="No space"):
        tiny_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_byte_has_a_symbol_of_its_own() -> None:
    symbols = byte_symbols()
    assert len(symbols) == len(set(symbols)) == 514
    assert symbols[:3] == ["!", '"', "#"]
    assert "Ġ" in symbols
    assert symbols[-2:] == ["<|startoftext|>", "<|endoftext|>"]

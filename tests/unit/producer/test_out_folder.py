import json
from pathlib import Path

import pytest

from producer.out_folder import check_out_folder, replaced_folder, run_id_of
from tasks.errors import BadInputError


def hold_run(folder: Path, run_id: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"run_id": run_id}))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("run_id", [None, "r1"])
def test_a_folder_that_is_new_or_empty_may_be_used(tmp_path: Path, run_id: str | None) -> None:
    (tmp_path / "empty").mkdir()
    check_out_folder(tmp_path / "empty", run_id)
    check_out_folder(tmp_path / "new" / "deep", run_id)
    assert names_in(tmp_path) == {"empty"}


def test_the_folder_of_the_same_run_may_be_used_again(tmp_path: Path) -> None:
    hold_run(tmp_path, "r1")
    check_out_folder(tmp_path, "r1")


@pytest.mark.parametrize("run_id", [None, "r2"])
def test_the_folder_of_another_run_is_refused_with_its_id(
    tmp_path: Path, run_id: str | None
) -> None:
    hold_run(tmp_path, "r1")
    with pytest.raises(BadInputError, match="already holds the run r1"):
        check_out_folder(tmp_path, run_id)


@pytest.mark.parametrize("content", ["not json", "[]", '{"run_id": 7}', "\xff"])
def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BadInputError, match="not empty and holds no Castline run"):
        check_out_folder(tmp_path, "r1")


def test_a_file_is_refused_and_so_is_a_folder_inside_one(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for out in (file, file / "inside"):
        with pytest.raises(BadInputError, match="is a file, not a folder"):
            check_out_folder(out, "r1")
    assert file.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be written"):
        check_out_folder(Path("/proc/castline/out"), "r1")
    with pytest.raises(BadInputError, match="cannot be written"):
        check_out_folder(tmp_path / ("x" * 400), "r1")


def test_nothing_appears_at_the_target_before_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with replaced_folder(out) as folder:
        (folder / "run.json").write_text("{}")
        assert not out.exists()
    assert names_in(out) == {"run.json"}
    assert names_in(out.parent) == {"out"}


def test_a_block_that_raises_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    hold_run(tmp_path / "out", "r1")
    with pytest.raises(KeyboardInterrupt):
        replace_halfway(tmp_path / "out")
    assert names_in(tmp_path) == {"out"}
    assert run_id_of(tmp_path / "out") == "r1"


def replace_halfway(out: Path) -> None:
    with replaced_folder(out) as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt


def replace_with_new(out: Path) -> None:
    with replaced_folder(out) as folder:
        (folder / "run.json").write_text('{"run_id": "new"}')
        (folder / "mei").mkdir()
        (folder / "mei" / "card.json").write_text("new")


def fill_old(out: Path) -> None:
    hold_run(out, "old")
    for name in ("mei", "gone"):
        (out / name).mkdir()
        (out / name / "card.json").write_text("old")
    (out / "notes.txt").write_text("my own")
    (out / "my-folder").mkdir()


@pytest.fixture(params=["whole", "entries"])
def out(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A filled folder, replaced by renaming it or, as a mount point must be, by its entries."""
    if request.param == "entries":
        monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "out")
    fill_old(tmp_path / "out")
    return tmp_path / "out"


def test_an_old_run_is_replaced_and_the_users_own_files_stay(out: Path) -> None:
    replace_with_new(out)
    assert names_in(out) == {"run.json", "mei", "notes.txt", "my-folder"}
    assert (out / "mei" / "card.json").read_text() == "new"
    assert run_id_of(out) == "new"
    assert names_in(out.parent) == {"out"}


def test_a_move_that_fails_puts_everything_old_back(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        new_one = self / "run.json" if self.is_dir() else self
        if new_one.name == "run.json" and new_one.exists() and "new" in new_one.read_text():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space left"):
        replace_with_new(out)
    assert run_id_of(out) == "old"
    assert names_in(out) == {"run.json", "mei", "gone", "notes.txt", "my-folder"}
    assert (out / "mei" / "card.json").read_text() == "old"
    assert names_in(out.parent) == {"out"}


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_with_new(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert run_id_of(tmp_path / "real") == "new"


def test_a_new_folder_is_as_open_to_others_as_any(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with replaced_folder(tmp_path / "out") as folder:
        (folder / "run.json").write_text("{}")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode

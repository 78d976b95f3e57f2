"""The folder that a run is exported to: may it be used, and how a new one takes its place.

What is written into it is the exporter's business.
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import BadInputError

RUN_FILE = "run.json"
GALLERY_FILE = "index.html"
CARD_FILE = "card.json"
TWEETS_FILE = "tweets.json"

_OWN_PREFIX = ".castline-"
_ANOTHER = "Choose an empty or a new folder for --out."


def check_out_folder(out: Path, run_id: str | None) -> None:
    """Make sure that a run may be written to `out`; `run_id` None means a run without an id yet.

    Raises BadInputError when `out` is a file, cannot be written, holds another run, or holds
    files that are not a run. Choosing another folder helps; trying again does not. Only a look:
    somebody may fill the folder afterwards, so the exporter looks again.
    """
    try:
        if out.is_dir():
            _check_contents(out, run_id)
        _check_writable(out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInputError(f"{out} cannot be written: {reason}.", hint=_ANOTHER) from error


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, which becomes `out` when the block ends well.

    `out` is either what it was or complete: the new folder is renamed into its place, and the
    old one is kept until then. What lies at the top of the old one and is not Castline's own
    stays. If the block raises, nothing is left behind. Two weaknesses: a crash between the two
    renames leaves the old folder beside `out`, as `.castline-….old`; and where the folder itself
    cannot be renamed (a mount point, a read-only parent) its entries are moved one by one.
    """
    target = out.resolve()
    whole = _can_be_renamed(target)
    (target.parent if whole else target).mkdir(parents=True, exist_ok=True)
    token = f"{_OWN_PREFIX}{target.name}-{secrets.token_hex(4)}"
    staging = (target.parent if whole else target) / token
    staging.mkdir()
    try:
        yield staging
        swap = _swap_folders if whole else _swap_entries
        swap(staging, target, staging.with_name(f"{token}.old"))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def run_id_of(folder: Path) -> str | None:
    """Read the id of the run that `folder` holds; None when it holds none that can be read."""
    try:
        document = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    run_id = document.get("run_id") if isinstance(document, dict) else None
    return run_id if isinstance(run_id, str) else None


def _check_contents(out: Path, run_id: str | None) -> None:
    if not _entries(out):
        return
    held = run_id_of(out)
    if held is None:
        raise BadInputError(f"{out} is not empty and holds no Castline run.", hint=_ANOTHER)
    if held != run_id:
        raise BadInputError(f"{out} already holds the run {held}.", hint=_ANOTHER)


def _check_writable(out: Path) -> None:
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise BadInputError(f"{existing} is a file, not a folder.", hint=_ANOTHER)
    # Permissions mislead on read-only mounts and for root; making a folder tells.
    tempfile.TemporaryDirectory(prefix=_OWN_PREFIX, dir=existing).cleanup()


def _can_be_renamed(target: Path) -> bool:
    if not target.exists():
        return True
    return not target.is_mount() and os.access(target.parent, os.W_OK | os.X_OK)


def _swap_folders(new: Path, target: Path, old: Path) -> None:
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    _keep_foreign(old, target)
    shutil.rmtree(old, ignore_errors=True)


def _swap_entries(new: Path, target: Path, old: Path) -> None:
    old.mkdir()
    try:
        _move_entries(target, old)
        _fill(new, target)
    except OSError:
        _move_entries(old, target)
        old.rmdir()
        raise
    _keep_foreign(old, target)
    shutil.rmtree(old, ignore_errors=True)


def _fill(new: Path, target: Path) -> None:
    try:
        _move_entries(new, target)
    except OSError:
        _move_entries(target, new)
        raise


def _move_entries(source: Path, target: Path) -> None:
    for entry in _entries(source):
        entry.rename(target / entry.name)


def _keep_foreign(old: Path, target: Path) -> None:
    for entry in _entries(old):
        if not _is_ours(entry) and not (target / entry.name).exists():
            entry.rename(target / entry.name)


def _is_ours(entry: Path) -> bool:
    if entry.is_dir():
        return (entry / CARD_FILE).exists() or (entry / TWEETS_FILE).exists()
    return entry.name in {RUN_FILE, GALLERY_FILE}


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(_OWN_PREFIX))

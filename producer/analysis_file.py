"""The file that an analysis writes: whole after every round, never half."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tasks.errors import BadInputError


def check_file(path: Path) -> None:
    """Make sure that a file can be written, before anything is paid. Raises BadInputError."""
    if path.is_dir():
        raise BadInputError(f"--output {path} is a folder", hint="name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".castline-"):
            pass
    except OSError as error:
        raise BadInputError(
            f"--output {path} cannot be written: {error.strerror or error}",
            hint="choose another file",
        ) from error


def write_file(path: Path, report: dict[str, Any]) -> None:
    """Replace the file's content in one step. Raises BadInputError when that is refused."""
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    partial = path.with_name(f".castline-{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BadInputError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="`castline results RUN --out FILE` writes what a round has made",
        ) from error

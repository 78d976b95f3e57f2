"""The note that a local stack leaves in CASTLINE_HOME, so that every command finds its services."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import ConfigurationError


class StackNote(BaseModel):
    """Where the local stack's services listen; `simulate_url` is empty with a real provider."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    redis_url: str
    simulate_url: str = ""
    flower_url: str = ""
    gpus: int = 0
    supervisor_pid: int = 0
    started_at: float = 0.0


def note_path(home: Path) -> Path:
    """Name the note's file."""
    return home / "stack.json"


def read_note(home: Path) -> StackNote | None:
    """Read the note of the stack that runs in `home`, None when none was left.

    Raises ConfigurationError when the file is there but is not a note.
    """
    path = note_path(home)
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return StackNote.model_validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(
            f"{path} is not a stack note", hint="delete it and start `castline up` again"
        ) from error


def write_note(home: Path, note: StackNote) -> None:
    """Write the note whole: a reader sees the old one or the new one, never half of one."""
    home.mkdir(parents=True, exist_ok=True)
    temporary = note_path(home).with_suffix(".tmp")
    temporary.write_text(note.model_dump_json(indent=1))
    temporary.replace(note_path(home))


def remove_note(home: Path) -> None:
    """Forget the stack."""
    note_path(home).unlink(missing_ok=True)

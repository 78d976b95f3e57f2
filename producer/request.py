"""Builds a request from the options of a command: every value is checked, what is open is chosen.

Files are read by `producer.inputs`; steps are planned by `producer.plan`.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from producer.out_folder import check_out_folder
from tasks.errors import BadInputError
from tasks.images.renderer import renderer_spec
from tasks.schemas.plan import Request

MOST_TWEETS = 1000
ALLOWED = {"language": ("en", "zh"), "priority": ("interactive", "batch")}


def build_request(kind: str, **fields: Any) -> Request:
    """Build a request. Raises BadInputError for an unknown language or priority."""
    for name, values in ALLOWED.items():
        if name in fields and fields[name] not in values:
            raise BadInputError(
                f"--{name} {fields[name]!r} is unknown", hint=f"one of: {', '.join(values)}"
            )
    return Request.model_validate({"kind": kind, **fields})


def check_count(option: str, count: int) -> None:
    """Refuse a count outside 1 to `MOST_TWEETS`. Raises BadInputError."""
    if count < 1:
        raise BadInputError(f"{option} is {count}", hint="give a whole number from 1")
    if count > MOST_TWEETS:
        raise BadInputError(f"{option} is {count}", hint=f"at most {MOST_TWEETS} for a character")


def checked_personas(personas: int | None) -> int | None:
    """Refuse a number of characters below one. Raises BadInputError."""
    if personas is not None and personas < 1:
        raise BadInputError(f"--personas is {personas}", hint="give a whole number from 1")
    return personas


def checked_renderer(renderer: str) -> str:
    """Refuse a renderer that does not exist. Raises ConfigurationError."""
    if renderer:
        renderer_spec(renderer)
    return renderer


def chosen(run_id: str, request: Request, out: Path | None) -> dict[str, Any]:
    """Choose folder, first day and seed. Raises BadInputError for a folder that will not do."""
    folder = (out or Path("castline-out") / run_id).absolute()
    check_out_folder(folder, None)
    return {"out": str(folder), **left_open(run_id, request)}


def left_open(run_id: str, request: Request) -> dict[str, Any]:
    """Choose the first day and the seed where the user did not."""
    return {
        "first_day": request.first_day or tomorrow(),
        "seed": request.seed or int.from_bytes(run_id.encode()[-4:]) % 2**31,
    }


def folder_of(run_id: str, request: Request) -> Path | None:
    """Name the folder that a run ends in: chosen for runs over HTTP; an analysis has none."""
    if request.analysis is not None:
        return None
    return Path(request.out) if request.out else (Path("castline-out") / run_id).absolute()


def tomorrow() -> str:
    """The day that a calendar begins with, unless a file says otherwise."""
    return (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

"""The request log: one JSON line for each granted request, when it ends. Never its text."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.errors import BadInputError
from tasks.schemas.frozen import Frozen


class GrantedRequest(Frozen):
    """One granted request. `at` is the Unix time of its grant, `seconds` how long it took.

    `in_flight` counts the requests being answered at its grant, itself included; `status` is
    499 when the client went away, and 0 when the connection was dropped on purpose.
    """

    at: float
    idempotency_key: str
    model: str
    status: int
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    in_flight: int


class RequestLog:
    """Appends to a file, a line at a time; without a path it writes nothing.

    Raises BadInputError when the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            self._file = path.open("a", buffering=1, encoding="utf-8") if path else None
        except OSError as error:
            raise BadInputError(f"cannot write the log {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, request: GrantedRequest) -> None:
        """Add this request's line."""
        if self._file is not None:
            self._file.write(json.dumps(request.model_dump(), ensure_ascii=False) + "\n")

"""The lines of a batch: which calls go together, how one is written, what an answer means; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.errors import BadReplyError
from tasks.llm.dialect import Dialect
from tasks.schemas.batches import BatchReply, CallRow

MOST_ATTEMPTS = 3
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LINE_EXTRA_BYTES = 200
OK, TOO_MANY, SERVER_ERRORS = 200, 429, 500


def chunked(
    rows: Iterable[CallRow], *, most: int, most_bytes: int
) -> list[tuple[str, list[CallRow]]]:
    """Cut calls into chunks of one model, at most `most` calls and `most_bytes` bytes, in order.

    A call that is larger than `most_bytes` by itself is alone in its chunk. Returns model and rows.
    """
    chunks: list[tuple[str, list[CallRow]]] = []
    open_by_model: dict[str, tuple[list[CallRow], int]] = {}
    for row in rows:
        size = row.size_bytes + LINE_EXTRA_BYTES
        current, filled = open_by_model.get(row.model, ([], 0))
        if not current or len(current) >= most or filled + size > most_bytes:
            current, filled = [], 0
            chunks.append((row.model, current))
        current.append(row)
        open_by_model[row.model] = (current, filled + size)
    return chunks


def line_of(key: str, body: str, *, endpoint: str) -> str:
    """Write one line of the input file; `body` is JSON already."""
    head = json.dumps({"custom_id": key, "method": "POST", "url": endpoint})
    return f'{head[:-1]}, "body": {body}}}'


def endpoint_of(base_url: str, path: str) -> str:
    """Name what a batch's lines are posted to: the API's version and the dialect's path."""
    version = base_url.rstrip("/").rsplit("/", 1)[-1]
    return f"/{version}/{path}"


def reply_of(entry: Mapping[str, Any], row: CallRow, *, dialect: Dialect) -> BatchReply:
    """Read one line of an output or error file; texts of the provider stay out of messages."""
    response = table_of(entry, "response")
    status = response.get("status_code")
    if status == OK:
        try:
            completion = dialect.completion(response.get("body"), asked_model=row.model)
        except BadReplyError as error:
            return failed(row, str(error), status=status, again=True)
        text = completion.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        completion = completion.model_copy(update={"text": text})  # Redis takes no lone surrogate
        return BatchReply(key=row.key, attempts=row.attempt, completion=completion)
    if isinstance(status, int) and status:
        return failed(row, f"HTTP {status} in a batch", status=status, again=status in AGAIN)
    expired = table_of(entry, "error").get("code") == "batch_expired"
    return failed(row, "the batch expired" if expired else "not answered in the batch", again=True)


def table_of(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Take a member that should be an object; anything else is as good as none."""
    value = entry.get(key)
    return value if isinstance(value, Mapping) else {}


def counted_as(reply: BatchReply) -> str:
    """Name what an answered attempt counts as, in the words of one that was made directly."""
    if reply.completion is not None:
        return "call.ok"
    if reply.status == TOO_MANY:
        return "call.failed.rate"
    if reply.status == OK:
        return "call.failed.reply"
    if reply.status >= SERVER_ERRORS:
        return "call.failed.server"
    return "call.failed.refused" if reply.status else "call.failed.other"


def failed(row: CallRow, error: str, *, status: int = 0, again: bool) -> BatchReply:
    """Record a failure; for good when it is, or when the attempts are spent."""
    spent = row.attempt >= MOST_ATTEMPTS
    told = f"{error}, {row.attempt} times" if again and spent else error
    return BatchReply(
        key=row.key, attempts=row.attempt, error=told, status=status, again=again and not spent
    )


def uncounted(row: CallRow) -> BatchReply:
    """Record that a call was not made because we cancelled its batch: no attempt."""
    return BatchReply(
        key=row.key, attempts=row.attempt - 1, error="its batch was cancelled", again=True
    )


def input_file(lines: Sequence[str]) -> bytes:
    """Join lines to a file."""
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")

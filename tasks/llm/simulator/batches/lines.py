"""Reads and checks a batch's input file; pure.

Codes as OpenAI gives them (platform.openai.com/docs/guides/batch, read 2026-11).
"""

import json
from typing import Any, NamedTuple

ENDPOINT = "/v1/chat/completions"
_MOST_ERRORS = 20


class BatchLine(NamedTuple):
    """One request of a batch; `body` is that of a chat completion."""

    custom_id: str
    body: dict[str, Any]


class LineError(NamedTuple):
    """Why a batch fails its validation; `line` counts from 1, None when it is about all of it."""

    code: str
    message: str
    line: int | None

    def shown(self) -> dict[str, Any]:
        """The error object of the API."""
        return {"code": self.code, "message": self.message, "param": None, "line": self.line}


def read_lines(content: bytes, *, most: int) -> tuple[list[BatchLine], list[LineError]]:
    """Read an input file; with errors the whole batch fails."""
    texts = [text for text in content.split(b"\n") if text.strip()]
    if not texts:
        return [], [LineError("empty_file", "The file contains no requests.", None)]
    if len(texts) > most:
        told = f"The batch has {len(texts)} requests, and at most {most} are allowed."
        return [], [LineError("too_many_tasks", told, None)]
    lines: list[BatchLine] = []
    errors: list[LineError] = []
    known: set[str] = set()
    for number, text in enumerate(texts, 1):
        found = _read(text, number)
        if isinstance(found, BatchLine) and found.custom_id in known:
            told = f"The custom_id {found.custom_id!r:.80} is used more than once."
            found = LineError("duplicate_custom_id", told, number)
        if isinstance(found, LineError):
            errors.append(found)
        else:
            known.add(found.custom_id)
            lines.append(found)
    models = {str(line.body.get("model")) for line in lines}
    if len(models) > 1:
        told = f"All requests of a batch need one model, and this one has {len(models)}."
        errors.append(LineError("model_mismatch", told, None))
    return lines, errors[:_MOST_ERRORS]


def _read(text: bytes, number: int) -> BatchLine | LineError:
    try:
        line = json.loads(text)
    except ValueError:
        return LineError("invalid_json_line", "This line is not parseable as valid JSON.", number)
    if not isinstance(line, dict):
        return LineError("invalid_json_line", "This line is not a JSON object.", number)
    custom_id, body = line.get("custom_id"), line.get("body")
    if not isinstance(custom_id, str) or not custom_id or not isinstance(body, dict):
        told = "custom_id (a text) and body (an object) are required."
        return LineError("missing_required_parameter", told, number)
    if line.get("method") != "POST":
        return LineError("invalid_method", "method must be POST.", number)
    if line.get("url") != ENDPOINT:
        return LineError("url_mismatch", f"url must be the batch's endpoint, {ENDPOINT}.", number)
    return BatchLine(custom_id, body)

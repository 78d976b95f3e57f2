"""The HTTP face of files and batches.

Fields and limits as in platform.openai.com/docs/api-reference/batch, read 2026-11.
"""

import time
from collections.abc import Callable
from typing import Any

from aiohttp import BodyPartReader, web

from tasks.errors import BadInputError
from tasks.llm.simulator.batches.batch import Batch
from tasks.llm.simulator.batches.batches import Batches
from tasks.llm.simulator.batches.files import FILE_BYTES, Files, StoredFile
from tasks.llm.simulator.batches.lines import ENDPOINT
from tasks.llm.simulator.responses import bad_request, json_response, not_found

_MOST_LISTED = 100
_METADATA = (16, 64, 512)  # most pairs, longest key, longest value


class BatchRoutes:
    """Answers /v1/files and /v1/batches; `refusal` checks the caller's key."""

    def __init__(
        self,
        files: Files,
        batches: Batches,
        refusal: Callable[[web.Request], web.Response | None],
    ) -> None:
        self._files = files
        self._batches = batches
        self._refusal = refusal

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for method, path, handler in (
            ("POST", "/v1/files", self._upload),
            ("GET", "/v1/files/{id}", self._file),
            ("GET", "/v1/files/{id}/content", self._content),
            ("DELETE", "/v1/files/{id}", self._delete),
            ("POST", "/v1/batches", self._create),
            ("GET", "/v1/batches", self._list),
            ("GET", "/v1/batches/{id}", self._batch),
            ("POST", "/v1/batches/{id}/cancel", self._cancel),
        ):
            app.router.add_route(method, path, self._guarded(handler))
        app.on_shutdown.append(self._close)

    def _guarded(self, handler: Any) -> Any:
        async def answer(http: web.Request) -> web.StreamResponse:
            if refusal := self._refusal(http):
                return refusal
            try:
                response: web.StreamResponse = await handler(http)
            except BadInputError as error:
                return bad_request(str(error))
            return response

        return answer

    async def _close(self, _: web.Application) -> None:
        await self._batches.close()

    # --- files -----------------------------------------------------------------------------

    async def _upload(self, http: web.Request) -> web.StreamResponse:
        fields: dict[str, tuple[str, bytes]] = {}
        if not http.content_type.startswith("multipart/"):
            raise BadInputError("a file is sent as multipart/form-data")
        async for part in await http.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                fields[part.name] = (part.filename or "", await _read(part))
        purpose = fields.get("purpose", ("", b""))[1].decode("utf-8", "replace")
        if purpose != "batch":
            raise BadInputError(f"purpose must be batch, not {purpose!r:.40}")
        if "file" not in fields:
            raise BadInputError("the form has no file")
        name, content = fields["file"]
        if not name.endswith(".jsonl"):
            raise BadInputError("Invalid file format for Batch API. Must be .jsonl")
        file = self._files.add(content, name=name, purpose=purpose, now=time.time())
        return json_response(file.shown())

    async def _file(self, http: web.Request) -> web.StreamResponse:
        file = self._found(http)
        return json_response(file.shown()) if file else _no_file(http)

    async def _content(self, http: web.Request) -> web.StreamResponse:
        file = self._found(http)
        if file is None:
            return _no_file(http)
        return web.Response(body=file.content, content_type="application/octet-stream")

    async def _delete(self, http: web.Request) -> web.StreamResponse:
        file_id = http.match_info["id"]
        if not self._files.remove(file_id):
            return _no_file(http)
        return json_response({"id": file_id, "object": "file", "deleted": True})

    def _found(self, http: web.Request) -> StoredFile | None:
        return self._files.get(http.match_info["id"])

    # --- batches ---------------------------------------------------------------------------

    async def _create(self, http: web.Request) -> web.StreamResponse:
        asked = await _object(http)
        if asked.get("endpoint") != ENDPOINT:
            raise BadInputError(f"endpoint must be {ENDPOINT}")
        if asked.get("completion_window") != "24h":
            raise BadInputError("completion_window must be 24h")
        file = self._files.get(str(asked.get("input_file_id")))
        if file is None or file.purpose != "batch":
            raise BadInputError("input_file_id names no file with purpose batch")
        return json_response(self._batches.start(file, _metadata(asked)).shown())

    async def _list(self, http: web.Request) -> web.StreamResponse:
        limit = http.query.get("limit", "20")
        if not limit.isdigit() or not 1 <= int(limit) <= _MOST_LISTED:
            raise BadInputError(f"limit must be a number from 1 to {_MOST_LISTED}")
        after = http.query.get("after", "")
        page, more = self._batches.newest(after=after, limit=int(limit))
        return json_response(
            {
                "object": "list",
                "data": [batch.shown() for batch in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": more,
            }
        )

    async def _batch(self, http: web.Request) -> web.StreamResponse:
        batch = self._batch_of(http)
        return json_response(batch.shown()) if batch else _no_batch(http)

    async def _cancel(self, http: web.Request) -> web.StreamResponse:
        batch = self._batch_of(http)
        if batch is None:
            return _no_batch(http)
        if batch.ended:
            raise BadInputError(f"a batch that is {batch.status} cannot be cancelled")
        self._batches.cancel(batch)
        return json_response(batch.shown())

    def _batch_of(self, http: web.Request) -> Batch | None:
        return self._batches.get(http.match_info["id"])


async def _read(part: BodyPartReader) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(2**16):
        content += chunk
        if len(content) > FILE_BYTES:
            raise BadInputError(f"a file of a batch has at most {FILE_BYTES} bytes")
    return bytes(content)


async def _object(http: web.Request) -> dict[str, Any]:
    try:
        asked = await http.json()
    except ValueError as error:
        raise BadInputError("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise BadInputError("the body must be a JSON object")
    return asked


def _metadata(asked: dict[str, Any]) -> dict[str, str] | None:
    metadata = asked.get("metadata")
    if metadata is None:
        return None
    most, longest_key, longest = _METADATA
    if not isinstance(metadata, dict) or len(metadata) > most:
        raise BadInputError(f"metadata must be an object of at most {most} pairs")
    for key, value in metadata.items():
        if len(key) > longest_key or not isinstance(value, str) or len(value) > longest:
            raise BadInputError(f"metadata {key!r:.80} is too long, or its value is no text")
    return metadata


def _no_file(http: web.Request) -> web.Response:
    return not_found(f"No such File object: {http.match_info['id']:.80}")


def _no_batch(http: web.Request) -> web.Response:
    return not_found(f"No batch found with id {http.match_info['id']:.80}")

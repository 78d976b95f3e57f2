"""Uploaded files and results, kept in memory and bounded: the oldest go first."""

import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 512 * 2**20
MOST_FILES = 2000
FILE_BYTES = 200 * 2**20  # platform.openai.com/docs/api-reference/batch/create, read 2026-11


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file; `created` is Unix time in seconds."""

    id: str
    name: str
    purpose: str
    content: bytes
    created: int

    def shown(self) -> dict[str, Any]:
        """The file object of the API."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


class Files:
    """All files of one provider."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0

    def add(self, content: bytes, *, name: str, purpose: str, now: float) -> StoredFile:
        """Keep a file under a new id; drops the oldest when there is no room."""
        file_id = f"file-{uuid.uuid4().hex[:24]}"
        file = StoredFile(id=file_id, name=name, purpose=purpose, content=content, created=int(now))
        self._files[file_id] = file
        self._bytes += len(content)
        while len(self._files) > MOST_FILES or (self._bytes > MOST_BYTES and len(self._files) > 1):
            self.remove(next(iter(self._files)))
        return file

    def get(self, file_id: str) -> StoredFile | None:
        """Find a file."""
        return self._files.get(file_id)

    def remove(self, file_id: str) -> bool:
        """Drop a file; False when there is none."""
        file = self._files.pop(file_id, None)
        self._bytes -= len(file.content) if file else 0
        return file is not None

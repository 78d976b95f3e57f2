"""Bytes that do not belong into Redis, by key, through fsspec: `file://`, `s3://`, `memory://`."""

import asyncio
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from tasks.errors import BadInputError, BlobsAwayError, ConfigurationError


class Blobs:
    """A folder of blobs; keys are relative paths such as `pictures/RUN/p0.i01.png`."""

    def __init__(self, url: str) -> None:
        """Open the store at `url`; nothing is touched yet.

        Raises ConfigurationError when no installed fsspec backend speaks the url's protocol.
        """
        self.url = url
        try:
            filesystem, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"CASTLINE_BLOBS={url!r} cannot be opened: {error}",
                hint="use file:///folder, or install the backend (s3fs for s3://)",
            ) from error
        self._fs: Any = filesystem
        self._root = str(root).rstrip("/")

    def _path(self, key: str) -> str:
        if key.startswith("/") or ".." in key.split("/"):
            raise BadInputError(f"not a blob key: {key!r}")
        return f"{self._root}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write a blob whole; the same key again replaces it.

        Raises BlobsAwayError when the store cannot be written (full, away, refused).
        """
        path = self._path(key)
        temporary = f"{path}.{id(data):x}.part"
        try:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            if isinstance(self._fs, fsspec.implementations.local.LocalFileSystem):
                self._fs.pipe_file(temporary, data)
                self._fs.mv(temporary, path)
            else:
                self._fs.pipe_file(path, data)
        except OSError as error:
            raise unwritable(error) from error

    def get(self, key: str) -> bytes | None:
        """Read a blob, None when there is none.

        Raises BlobsAwayError when the store cannot be read.
        """
        try:
            return bytes(self._fs.cat_file(self._path(key)))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(error) from error

    def has(self, key: str) -> bool:
        """Whether there is such a blob. Raises BlobsAwayError when the store cannot be read."""
        try:
            return bool(self._fs.exists(self._path(key)))
        except OSError as error:
            raise unreadable(error) from error

    def remove(self, key: str) -> None:
        """Remove a blob, if there is one. Raises BlobsAwayError when the store refuses."""
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return
        except OSError as error:
            raise unwritable(error) from error

    async def put_async(self, key: str, data: bytes) -> None:
        """Do `put` off the loop."""
        await asyncio.to_thread(self.put, key, data)

    async def get_async(self, key: str) -> bytes | None:
        """Do `get` off the loop."""
        return await asyncio.to_thread(self.get, key)


def reason_of(error: OSError) -> str:
    """Name what the system said, without the path."""
    return error.strerror or type(error).__name__


def unwritable(error: OSError) -> BlobsAwayError:
    """Translate a refusal to write."""
    return BlobsAwayError(
        f"the blob store cannot be written: {reason_of(error)}",
        hint="check CASTLINE_BLOBS: free space, rights, network",
    )


def unreadable(error: OSError) -> BlobsAwayError:
    """Translate a refusal to read."""
    return BlobsAwayError(
        f"the blob store cannot be read: {reason_of(error)}",
        hint="check CASTLINE_BLOBS: rights, network",
    )

"""PNG files as chunks: taken apart and put together without touching the pixels.

Source: PNG specification, third edition. Text is read from tEXt chunks only.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tasks.errors import BadInputError

MAGIC = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12  # length, kind and checksum around every body
_HINT = "give the PNG file itself, whole and unedited"


class Chunk(NamedTuple):
    """One chunk: its four-letter kind and its body."""

    kind: bytes
    body: bytes

    @property
    def keyword(self) -> str:
        """The keyword of a text chunk, lower case; "" for any other chunk."""
        if self.kind not in (b"tEXt", b"zTXt", b"iTXt"):
            return ""
        return self.body.partition(b"\0")[0].decode("latin-1").lower()


def chunks_of(png: bytes, *, label: str = "this file") -> list[Chunk]:
    """Take a PNG apart, up to and with IEND; what follows is dropped.

    Raises BadInputError when the bytes are no PNG, are cut off, or fail a checksum.
    """
    if not png.startswith(MAGIC):
        raise BadInputError(f"{label} is no PNG", hint=_HINT)
    return list(_walk(png, label))


def png_of(chunks: Iterable[Chunk]) -> bytes:
    """Put chunks together."""
    return MAGIC + b"".join(_framed(chunk) for chunk in chunks)


def text_chunk(keyword: str, text: str) -> Chunk:
    """Write a tEXt chunk; keyword and text must be Latin-1."""
    return Chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))


def texts_of(chunks: Iterable[Chunk]) -> dict[str, bytes]:
    """Read all tEXt chunks by lower-case keyword; the first of equal ones counts."""
    texts: dict[str, bytes] = {}
    for chunk in chunks:
        if chunk.kind == b"tEXt":
            texts.setdefault(chunk.keyword, chunk.body.partition(b"\0")[2])
    return texts


def _walk(png: bytes, label: str) -> Iterator[Chunk]:
    at, kind = len(MAGIC), b""
    while kind != b"IEND":
        length = int.from_bytes(png[at : at + 4], "big")
        end = at + _FRAME_BYTES + length
        if end > len(png):
            raise BadInputError(f"the PNG in {label} is cut off", hint=_HINT)
        kind, body = png[at + 4 : at + 8], png[at + 8 : end - 4]
        if zlib.crc32(kind + body) != int.from_bytes(png[end - 4 : end], "big"):
            raise BadInputError(f"the PNG in {label} is damaged", hint=_HINT)
        yield Chunk(kind, body)
        at = end


def _framed(chunk: Chunk) -> bytes:
    check = zlib.crc32(chunk.kind + chunk.body)
    return b"".join(
        (len(chunk.body).to_bytes(4, "big"), chunk.kind, chunk.body, check.to_bytes(4, "big"))
    )

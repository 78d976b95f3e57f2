"""Unpacks an answer's body, never to more than a limit.

httpx unpacks coding over coding, each to its end: 2.5 kB of `gzip, gzip` became 3 GB of memory.
So only what is asked for is unpacked: one layer of gzip or deflate (RFC 9110 section 8.4.1).
"""

import zlib

ACCEPTED = "gzip, deflate"
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
BARE_DEFLATE = -zlib.MAX_WBITS  # what some servers call deflate


class CodingError(Exception):
    """A body is not packed as it says, or in a way that was not asked for."""


def unpacked(content: bytes, coding: str, *, most_bytes: int) -> bytes:
    """Undo a `Content-Encoding`; what is larger comes back cut, one byte longer than `most_bytes`.

    Raises CodingError, whose text names the coding and nothing of the body.
    """
    match coding.strip().lower():
        case "" | "identity":
            return content
        case "gzip" | "x-gzip":
            return inflated(content, GZIP_OR_ZLIB, most_bytes=most_bytes)
        case "deflate":
            wbits = GZIP_OR_ZLIB if is_zlib(content) else BARE_DEFLATE
            return inflated(content, wbits, most_bytes=most_bytes)
    raise CodingError("it is packed in a way that was not asked for")


def is_zlib(content: bytes) -> bool:
    """Whether a body begins with zlib's header (RFC 1950 section 2.2)."""
    return content[:1] == b"\x78" and int.from_bytes(content[:2]) % 31 == 0


def inflated(content: bytes, wbits: int, *, most_bytes: int) -> bytes:
    """Decompress one body. Raises CodingError when it is damaged or breaks off."""
    packed = zlib.decompressobj(wbits)
    try:
        plain = packed.decompress(content, most_bytes + 1)
    except zlib.error as error:
        raise CodingError("its compression is damaged") from error
    if len(plain) <= most_bytes and not packed.eof:
        raise CodingError("its compression breaks off")
    return plain

"""Unpacking of answers: what was asked for and no more, never beyond the limit."""

import gzip
import tracemalloc
import zlib

import pytest

from tasks.llm.content_coding import CodingError, unpacked

PLAIN = b'{"text": "hello"}' * 20
MIB = 2**20


def bare_deflate(content: bytes) -> bytes:
    """Pack without zlib's header, as some servers do."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(content) + packing.flush()


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("", PLAIN),
        ("identity", PLAIN),
        ("gzip", gzip.compress(PLAIN)),
        ("X-GZIP", gzip.compress(PLAIN)),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", bare_deflate(PLAIN)),
    ],
    ids=["none", "identity", "gzip", "x-gzip", "zlib", "bare deflate"],
)
def test_what_was_asked_for_is_unpacked(coding: str, content: bytes) -> None:
    assert unpacked(content, coding, most_bytes=MIB) == PLAIN


@pytest.mark.parametrize(
    ("coding", "content", "said"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN)), "not asked for"),
        ("zstd", b"\x28\xb5\x2f\xfd", "not asked for"),
        ("gzip", b"plain text", "damaged"),
        ("deflate", b"plain text", "damaged"),
        ("gzip", gzip.compress(PLAIN)[:-9], "breaks off"),
        ("gzip", b"", "breaks off"),
    ],
    ids=["two layers", "zstd", "no gzip", "no deflate", "cut", "empty"],
)
def test_anything_else_is_refused_and_not_repeated(coding: str, content: bytes, said: str) -> None:
    with pytest.raises(CodingError, match=said) as caught:
        unpacked(content, coding, most_bytes=MIB)
    assert "plain text" not in str(caught.value)


@pytest.mark.parametrize("size_bytes", [MIB, MIB + 1], ids=["at the limit", "one more"])
def test_the_limit_itself_may_be_reached(size_bytes: int) -> None:
    content = gzip.compress(b" " * size_bytes)
    assert len(unpacked(content, "gzip", most_bytes=MIB)) == size_bytes


def test_memory_grows_by_the_limit_and_not_by_what_is_packed() -> None:
    content = gzip.compress(b" " * 200 * MIB)
    tracemalloc.start()
    try:
        assert len(unpacked(content, "gzip", most_bytes=MIB)) == MIB + 1
        assert tracemalloc.get_traced_memory()[1] < 10 * MIB
    finally:
        tracemalloc.stop()

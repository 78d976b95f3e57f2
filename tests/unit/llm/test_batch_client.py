"""What a provider's bad answers about files and batches become, over real HTTP on loopback."""

import gzip
from collections.abc import AsyncIterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tasks.errors import BadReplyError
from tasks.llm.batch_client import BatchClient
from tasks.llm.transport import LARGEST_REPLY_BYTES
from tests.caller import provider_at

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(anyio_backend: str, httpserver: HTTPServer) -> AsyncIterator[BatchClient]:
    """Open a client whose pauses have no length."""
    opened = BatchClient(provider_at(httpserver.url_for("/v1")), retry_scale=0)
    yield opened
    await opened.close()


@pytest.mark.parametrize("body", [b"{}", b'{"id": ""}', b"[]", b"<html>", b'{"id": "f'])
async def test_an_upload_without_an_id_is_a_bad_reply(
    client: BatchClient, httpserver: HTTPServer, body: bytes
) -> None:
    httpserver.expect_request("/v1/files").respond_with_data(body)
    with pytest.raises(BadReplyError):
        await client.upload("x.jsonl", b"{}\n")


async def test_an_upload_that_meets_trouble_is_sent_again_whole(
    client: BatchClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_ordered_request("/v1/files").respond_with_data(b"", status=503)
    httpserver.expect_ordered_request("/v1/files").respond_with_json({"id": "file-1"})
    assert await client.upload("x.jsonl", b'{"custom_id": "a"}\n') == "file-1"
    sent = [b'\r\n\r\n{"custom_id": "a"}\n' in request.data for request, _ in httpserver.log]
    assert sent == [True, True]


async def test_an_answer_that_unpacks_to_a_hundred_megabytes_is_refused(
    client: BatchClient, httpserver: HTTPServer
) -> None:
    bomb = Response(gzip.compress(b" " * 100 * 2**20), headers={"Content-Encoding": "gzip"})
    httpserver.expect_request("/v1/batches/b").respond_with_response(bomb)
    with pytest.raises(BadReplyError, match="8 MiB"):
        await client.batch("b")


async def test_of_a_result_file_what_is_no_object_or_too_long_is_left_out(
    client: BatchClient, httpserver: HTTPServer
) -> None:
    long = b'{"custom_id": "' + b"x" * LARGEST_REPLY_BYTES + b'"}'
    deep = b"[" * 100_000
    good = ['{"custom_id": "a"}', '{"custom_id": "b\u2028"}', '{"custom_id": "c"}']
    lines = [good[0].encode(), b"", b"[]", b"oops", deep, long, *(g.encode() for g in good[1:])]
    httpserver.expect_request("/v1/files/f/content").respond_with_data(b"\n".join(lines))
    found = [entry["custom_id"] async for entry in client.lines("f")]
    assert found == ["a", "b\u2028", "c"]

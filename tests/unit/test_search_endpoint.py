"""A search endpoint of one's own, in SearXNG's words, on a real socket."""

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tasks.errors import CastlineError, ConfigurationError, PermanentError, TransientError
from tasks.web_search import search_endpoint

pytestmark = pytest.mark.anyio

FOUND = {"results": [{"title": f"t{n}", "url": f"u{n}", "content": "c"} for n in range(12)]}
ANSWERS = {
    "busy": (429, "", TransientError),
    "down": (503, "", TransientError),
    "refused": (403, "", ConfigurationError),
    "html": (200, "<html>", PermanentError),
    "other": (200, '{"hits": []}', PermanentError),
    "strings": (200, '{"results": ["a"]}', PermanentError),
}


async def answer(request: web.Request) -> web.Response:
    """Answer as the query says."""
    query = request.query["q"]
    if request.query["format"] != "json":
        return web.Response(status=403)
    status, text, _ = ANSWERS.get(query, (200, json.dumps(FOUND), CastlineError))
    return web.Response(status=status, text=text)


@pytest.fixture
async def url(anyio_backend: str) -> object:
    """Serve the endpoint."""
    app = web.Application()
    app.router.add_get("/search", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/search"))


async def test_all_results_are_counted_and_ten_are_kept(url: str) -> None:
    count, findings = await search_endpoint(url, "a clock & more", timeout_s=5)
    assert (count, len(findings)) == (12, 10)
    assert (findings[0].title, findings[0].url, findings[0].text) == ("t0", "u0", "c")


@pytest.mark.parametrize("query", ANSWERS)
async def test_an_answer_that_is_none_is_an_error_of_its_kind(url: str, query: str) -> None:
    with pytest.raises(ANSWERS[query][2]):
        await search_endpoint(url, query, timeout_s=5)


async def test_an_endpoint_that_is_away_is_worth_another_attempt() -> None:
    with pytest.raises(TransientError, match="did not answer"):
        await search_endpoint("http://127.0.0.1:9/search", "x", timeout_s=1)

"""The wire to a provider: what leaves, and that a prepared request may leave again."""

import json

import pytest
from pytest_httpserver import HTTPServer

from tasks.llm.transport import Wire, encoded

pytestmark = pytest.mark.anyio


async def test_a_prepared_request_leaves_twice_with_the_same_body_and_key(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request("/v1/chat/completions", method="POST").respond_with_json({"ok": True})
    wire = Wire(httpserver.url_for("/v1"), headers={"Authorization": "Bearer k"}, timeout_s=5)
    request = wire.post("chat/completions", {"a": "é"}, key="same")
    for _ in range(2):
        response = await wire.send(request)
        assert json.loads(response.content) == {"ok": True}
    await wire.close()
    seen = [request for request, _ in httpserver.log]
    assert [json.loads(one.data) for one in seen] == [{"a": "é"}] * 2
    assert [one.headers["Idempotency-Key"] for one in seen] == ["same", "same"]
    assert seen[0].headers["Authorization"] == "Bearer k"
    assert seen[0].headers["Content-Type"] == "application/json"


def test_a_lone_surrogate_is_encoded_as_an_escape() -> None:
    assert json.loads(encoded({"text": "a\ud800b"})) == {"text": "a\ud800b"}

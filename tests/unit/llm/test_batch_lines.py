"""Which calls go together, how a line is written, what an answer means."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.llm.batch_lines import (
    LINE_EXTRA_BYTES,
    chunked,
    counted_as,
    endpoint_of,
    failed,
    line_of,
    reply_of,
    uncounted,
)
from tasks.llm.dialects import DIALECTS
from tasks.schemas.batches import CallRow

OPENAI = DIALECTS["openai"]


def row(key: str = "k", *, size: int = 10, model: str = "m", attempt: int = 1) -> CallRow:
    return CallRow(
        key=key, attempt=attempt, chunk="-", step="p0.core", size_bytes=size, model=model
    )


CALLS = st.lists(st.tuples(st.integers(1, 5000), st.sampled_from("abc")), max_size=60)


@given(calls=CALLS, most=st.integers(1, 20), most_bytes=st.integers(1, 20_000))
def test_every_call_is_in_exactly_one_chunk_and_no_chunk_is_too_large(
    calls: list[tuple[int, str]], most: int, most_bytes: int
) -> None:
    rows = [row(str(n), size=size, model=model) for n, (size, model) in enumerate(calls)]
    chunks = chunked(rows, most=most, most_bytes=most_bytes)
    assert sorted(r.key for _, part in chunks for r in part) == sorted(r.key for r in rows)
    for model, part in chunks:
        assert {r.model for r in part} == {model}
        assert 1 <= len(part) <= most
        size = sum(r.size_bytes + LINE_EXTRA_BYTES for r in part)
        assert size <= most_bytes or len(part) == 1


def test_a_line_holds_the_request_as_it_was_and_is_one_line() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": 'a "quoted"\nline\u2028end'}]}
    line = line_of("key", json.dumps(body, ensure_ascii=False), endpoint="/v1/chat/completions")
    assert "\n" not in line
    assert json.loads(line) == {
        "custom_id": "key",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }
    assert len(line) - len(json.dumps(body, ensure_ascii=False)) < LINE_EXTRA_BYTES


def test_the_endpoint_is_named_as_the_providers_version_names_it() -> None:
    path = "chat/completions"
    assert endpoint_of("https://api.openai.com/v1", path) == "/v1/chat/completions"
    assert endpoint_of("https://open.bigmodel.cn/api/paas/v4/", path) == "/v4/chat/completions"


def answer(status: int, body: Any = None) -> dict[str, Any]:
    return {"custom_id": "k", "response": {"status_code": status, "body": body}, "error": None}


def test_a_good_line_is_a_completion() -> None:
    body = {
        "model": "m-1",
        "choices": [{"message": {"content": "hello \ud83d"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    reply = reply_of(answer(200, body), row(attempt=2), dialect=OPENAI)
    assert reply.completion is not None
    assert (reply.attempts, reply.again) == (2, False)
    assert (reply.completion.model, reply.completion.prompt_tokens) == ("m-1", 3)
    assert reply.model_dump_json().isprintable()  # half a surrogate pair would not be


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_transient_line_is_asked_again_and_the_third_time_it_has_failed(status: int) -> None:
    replies = [reply_of(answer(status), row(attempt=n), dialect=OPENAI) for n in (1, 2, 3)]
    assert [reply.again for reply in replies] == [True, True, False]
    assert str(status) in replies[2].error


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refused_line_has_failed_at_once(status: int) -> None:
    reply = reply_of(answer(status, {"error": {"message": "secret"}}), row(), dialect=OPENAI)
    assert (reply.again, reply.status) == (False, status)
    assert "secret" not in reply.error


def test_lines_that_were_never_answered_are_asked_again() -> None:
    expired = {"custom_id": "k", "response": None, "error": {"code": "batch_expired"}}
    for entry in (expired, {}, answer(200, {"no": "choices"})):
        assert reply_of(entry, row(), dialect=OPENAI).again
    assert "expired" in reply_of(expired, row(), dialect=OPENAI).error


@pytest.mark.parametrize(
    "entry",
    [
        {"custom_id": "k", "response": "oops"},
        {"custom_id": "k", "response": [200]},
        {"custom_id": "k", "response": {"status_code": "many"}},
        {"custom_id": "k", "error": "oops"},
        {"custom_id": "k", "response": {"status_code": 200, "body": "oops"}},
    ],
)
def test_a_malformed_line_is_no_answer(entry: dict[str, Any]) -> None:
    reply = reply_of(entry, row(), dialect=OPENAI)
    assert reply.again
    assert reply.completion is None


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (answer(200, {"choices": [{"message": {"content": "hi"}}]}), "call.ok"),
        (answer(200, {"no": "choices"}), "call.failed.reply"),
        (answer(429), "call.failed.rate"),
        (answer(503), "call.failed.server"),
        (answer(400), "call.failed.refused"),
        ({}, "call.failed.other"),
    ],
)
def test_an_answered_attempt_counts_as_one_that_was_made_directly(
    entry: dict[str, Any], name: str
) -> None:
    assert counted_as(reply_of(entry, row(), dialect=OPENAI)) == name


def test_a_call_whose_batch_we_cancelled_has_lost_no_attempt() -> None:
    assert uncounted(row(attempt=3)).attempts == 2
    assert uncounted(row(attempt=3)).again
    assert failed(row(attempt=1), "no", again=False).again is False

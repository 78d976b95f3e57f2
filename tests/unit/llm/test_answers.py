"""HTTP answers become payloads or the error that fits."""

import httpx
import pytest

from tasks.errors import BadReplyError, ProviderDownError, RateLimitedError, RefusedCallError
from tasks.llm.answers import payload_of, retry_after_s


def answer(status: int, content: bytes = b"{}", **headers: str) -> httpx.Response:
    """Build an answer."""
    return httpx.Response(status, content=content, headers=headers)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, RateLimitedError),
        (500, ProviderDownError),
        (503, ProviderDownError),
        (400, RefusedCallError),
        (401, RefusedCallError),
        (404, RefusedCallError),
    ],
)
def test_every_status_has_its_class_of_error(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        payload_of(answer(status), provider="p")


def test_a_date_to_retry_after_is_meant_by_the_providers_clock_not_by_ours() -> None:
    headers = {
        "date": "Sun, 06 Nov 1994 08:49:37 GMT",
        "retry-after": "Sun, 06 Nov 1994 08:49:40 GMT",
    }
    with pytest.raises(RateLimitedError) as caught:
        payload_of(answer(429, **headers), provider="p")
    assert caught.value.wait_s == 3.0


def test_an_account_without_credit_is_refused_instead_of_asked_ten_times() -> None:
    body = b'{"error": {"message": "You exceeded it", "code": "insufficient_quota"}}'
    with pytest.raises(RefusedCallError, match="credit is used up") as caught:
        payload_of(answer(429, body), provider="p")
    assert "spending limit" in caught.value.hint


@pytest.mark.parametrize("content", [b"<html>no</html>", b"", b'{"choices": [', b'{"error": {}} x'])
def test_an_answer_that_is_not_json_is_a_bad_reply(content: bytes) -> None:
    with pytest.raises(BadReplyError):
        payload_of(answer(200, content), provider="p")


def test_an_error_object_with_status_200_is_a_bad_reply() -> None:
    with pytest.raises(BadReplyError, match="error object"):
        payload_of(answer(200, b'{"error": {"message": "secret prompt"}}'), provider="p")


def test_a_refused_key_names_the_setting_and_never_the_key() -> None:
    with pytest.raises(RefusedCallError) as caught:
        payload_of(answer(401, b'{"error": "key sk-123 is wrong"}'), provider="p")
    assert caught.value.hint == "check CASTLINE_LLM_API_KEY"
    assert "sk-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Sun, 06 Nov 1994 08:49:40 GMT", 3.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, now=784111777.0) == seconds

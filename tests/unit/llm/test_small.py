"""Small questions: one call for many, a call of its own for each that it leaves out."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tasks.errors import (
    BadInputError,
    CastlineError,
    DeadlineError,
    ProviderDownError,
    RefusedCallError,
)
from tasks.llm.client import LLMClient
from tasks.llm.combined import told_apart
from tasks.schemas.completion import Completion
from tests.calls import simulated_server

PATH = "/v1/chat/completions"


class Model:
    """A model on loopback that answers each question with its own words, in capitals."""

    def __init__(self, server: HTTPServer) -> None:
        self.calls: list[list[str]] = []
        self.spoiled: dict[str, Any] = {}
        self.refuses: dict[str, int] = {}
        self.text = ""
        self.base_url = server.url_for("/v1")
        server.expect_request(PATH).respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        asked = str(request.get_json()["messages"][-1]["content"])
        together = asked.startswith("{")
        questions = list(json.loads(asked).values()) if together else [asked]
        self.calls.append(questions)
        for question in questions:
            if question in self.refuses:
                return Response(status=self.refuses[question])
        found = {f"answer_{n}": q.upper() for n, q in enumerate(questions, 1)}
        text = json.dumps(found | self.spoiled) if together else asked.upper()
        message = {"content": (self.text if together else "") or text}
        choice = {"message": message, "finish_reason": "stop"}
        return Response(json.dumps({"choices": [choice]}), content_type="application/json")


@pytest.fixture
def model(httpserver: HTTPServer, no_settings: None) -> Model:
    """Start a model."""
    return Model(httpserver)


@pytest.fixture
def client(model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[LLMClient]:
    """Open a client whose small questions wait until four are there."""
    monkeypatch.setenv("CASTLINE_ASYNC_SMALL_SIZE", "4")
    monkeypatch.setenv("CASTLINE_ASYNC_SMALL_WAIT_S", "10")
    monkeypatch.setenv("CASTLINE_RETRY_SCALE", "0.001")
    with LLMClient(base_url=model.base_url, model="m") as opened:
        yield opened


def ask(client: LLMClient, *prompts: str) -> list[Any]:
    """Ask all at the same time."""

    async def all_at_once() -> list[Any]:
        asks = [client.ask_small_async(prompt) for prompt in prompts]
        return await asyncio.gather(*asks, return_exceptions=True)

    return asyncio.run(all_at_once())


def test_many_questions_are_one_call_and_each_hears_its_own(
    model: Model, client: LLMClient
) -> None:
    assert ask(client, *"abcd") == list("ABCD")
    assert model.calls == [list("abcd")]


def test_a_question_from_a_thread_is_asked_alone_when_nobody_joins_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASTLINE_ASYNC_SMALL_WAIT_S", "0.001")
    with LLMClient(base_url=model.base_url, model="m") as client:
        assert client.ask_small("hello") == "HELLO"
    assert model.calls == [["hello"]]


@pytest.mark.parametrize("wrong", ["", None, 7, ["B"], {}])
def test_an_answer_that_is_missing_is_asked_for_alone(
    model: Model, client: LLMClient, wrong: Any
) -> None:
    model.spoiled = {"answer_2": wrong}
    assert ask(client, *"abcd") == list("ABCD")
    assert model.calls == [list("abcd"), ["b"]]


@pytest.mark.parametrize("text", ["not json", "[1, 2]", '"A"', "<html>"])
def test_a_reply_that_cannot_be_told_apart_is_asked_for_one_by_one(
    model: Model, client: LLMClient, text: str
) -> None:
    model.text = text
    assert ask(client, *"abcd") == list("ABCD")
    assert sorted(model.calls) == sorted([list("abcd"), ["a"], ["b"], ["c"], ["d"]])


def test_a_question_that_the_provider_refuses_fails_alone(model: Model, client: LLMClient) -> None:
    model.refuses = {"c": 400}
    answers = ask(client, *"abcd")
    assert [answers[0], answers[1], answers[3]] == list("ABD")
    assert isinstance(answers[2], RefusedCallError)


def test_a_refused_key_fails_all_with_one_call(model: Model, client: LLMClient) -> None:
    model.refuses = {"a": 401}
    assert [type(answer) for answer in ask(client, *"abcd")] == [RefusedCallError] * 4
    assert len(model.calls) == 1


def test_a_provider_that_is_down_is_not_asked_once_more_for_each(
    model: Model, client: LLMClient
) -> None:
    model.refuses = {"a": 503}
    assert [type(answer) for answer in ask(client, *"abcd")] == [ProviderDownError] * 4
    assert len(model.calls) == 6


def test_a_question_that_waits_too_long_has_its_own_deadline(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASTLINE_ASYNC_SMALL_WAIT_S", "10")
    with LLMClient(base_url=model.base_url, model="m", timeout_s=0.05) as client:
        with pytest.raises(DeadlineError, match="small question"):
            client.ask_small("hello")
        assert client.status()["small_waiting"] == 0
    assert model.calls == []


def test_a_bad_question_is_named(client: LLMClient) -> None:
    with pytest.raises(BadInputError, match="prompt"):
        client.ask_small(" ")
    with pytest.raises(BadInputError, match="max_tokens"):
        client.ask_small("hello", max_tokens=0)


def test_the_simulated_provider_answers_many_by_one_call(no_settings: None) -> None:
    with (
        simulated_server() as base_url,
        LLMClient(base_url=base_url, model="m") as client,
    ):
        answers = ask(client, *(f"What is {n}?" for n in range(40)))
        assert not [answer for answer in answers if isinstance(answer, CastlineError)]
        assert client.status()["requests"] <= 4


def test_of_a_reply_that_was_cut_nothing_counts() -> None:
    cut = Completion(
        text='{"answer_1": "yes", "answer_2": "n',
        finish_reason="length",
        model="m",
        prompt_tokens=1,
        completion_tokens=1,
    )
    assert told_apart(cut, 2) == [None, None]
    assert told_apart(cut.model_copy(update={"finish_reason": "stop"}), 3)[2] is None

"""Every dialect does the same over real HTTP: the simulated provider speaks both."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field

from tasks.errors import (
    BadReplyError,
    CastlineError,
    ProviderDownError,
    RateLimitedError,
    RefusedCallError,
    TruncatedReplyError,
)
from tasks.llm.dialects import DIALECTS
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running
from tasks.presets import DialectName, Structured
from tasks.schemas.calls import Message, StructuredCall
from tests.caller import Caller, calling, provider_at

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("dialect", DIALECTS)]

PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG not really").decode()


class Cat(BaseModel):
    """A reply."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=40)
    lives: int = Field(ge=1, le=9)


def about(*words: str, image: str | None = None) -> StructuredCall[Cat]:
    """Ask for a cat."""
    system = Message(role="system", content="You name cats.")
    asked = [Message(role="user", content=word) for word in words]
    asked[-1] = asked[-1].model_copy(update={"image": image})
    return StructuredCall(name="cat", messages=(system, *asked), reply=Cat, temperature=1.3)


@asynccontextmanager
async def simulated(
    dialect: DialectName, *, structured: Structured = "json_schema", **options: Any
) -> AsyncIterator[tuple[Caller, str]]:
    """Start a simulated provider without delays, and a caller that speaks the dialect."""
    async with running(SimulatorOptions(latency_s=0, **options)) as url:
        provider = provider_at(url, dialect=dialect, structured=structured)
        async with calling(provider) as caller:
            yield caller, url


async def stats(url: str) -> dict[str, Any]:
    """Ask what the provider has seen."""
    async with httpx.AsyncClient() as http:
        return dict((await http.get(url.removesuffix("/v1") + "/stats")).json())


async def failure(caller: Caller) -> CastlineError:
    """Make one structured call that fails."""
    with pytest.raises(CastlineError) as caught:
        await caller.ask(about("A cat."))
    return caught.value


async def test_a_text_comes_back_with_its_model_and_tokens(dialect: DialectName) -> None:
    async with simulated(dialect) as (caller, url):
        done = await caller.call(max_tokens=400)
        seen = await stats(url)
    assert done.text
    assert (done.finish_reason, done.model) == ("stop", "m-1")
    assert {"prompt": done.prompt_tokens, "completion": done.completion_tokens} == seen["tokens"]
    assert seen["without_key"] == 0


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "prompt"])
async def test_a_structured_call_ends_as_its_document(
    dialect: DialectName, structured: Structured
) -> None:
    async with simulated(dialect, structured=structured) as (caller, url):
        assert isinstance(await caller.ask(about("A cat.", "An old one.")), Cat)
        seen = await stats(url)
    assert seen["answered"] == 1
    assert seen["not_strict"] == (structured != "json_schema")


async def test_a_conversation_may_have_turns_of_the_same_role_and_only_a_system_message(
    dialect: DialectName,
) -> None:
    said = [Message(role=role, content=role) for role in ("user", "user", "assistant", "user")]  # type: ignore[arg-type]
    async with simulated(dialect) as (caller, _):
        assert (await caller.call(*said)).text
        assert (await caller.call(Message(role="system", content="alone"))).text


async def test_a_picture_reaches_the_vision_model(dialect: DialectName) -> None:
    async with simulated(dialect) as (caller, _):
        assert isinstance(await caller.ask(about("Who is it?", image=PICTURE)), Cat)
    async with simulated(dialect, vision=False) as (caller, _):
        with pytest.raises(RefusedCallError):
            await caller.ask(about("Who is it?", image=PICTURE))


async def test_a_reply_that_reaches_its_limit_is_truncated(dialect: DialectName) -> None:
    async with simulated(dialect) as (caller, _):
        assert (await caller.call(max_tokens=3)).finish_reason == "length"
    async with simulated(dialect, faults="truncate=1") as (caller, _):
        assert isinstance(await failure(caller), TruncatedReplyError)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ("429=1", RateLimitedError),
        ("5xx=1", ProviderDownError),
        ("drop=1", ProviderDownError),
        ("html=1", BadReplyError),
        ("empty=1", BadReplyError),
    ],
)
async def test_every_fault_has_its_class_of_error(
    dialect: DialectName, faults: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.llm.retrying.MOST", {"network": 1, "server": 1, "rate": 0})
    async with simulated(dialect, faults=faults) as (caller, _):
        assert isinstance(await failure(caller), error)


async def test_a_key_is_shown_as_the_provider_wants_it(dialect: DialectName) -> None:
    async with simulated(dialect, api_key="k") as (caller, _):
        assert (await caller.call()).text
    async with simulated(dialect, api_key="another") as (caller, url):
        refused = await failure(caller)
        seen = await stats(url)
    assert isinstance(refused, RefusedCallError)
    assert (refused.status, seen["rejected"]["401"]) == (401, 1)


async def test_limits_hold_and_say_when_to_come_back(
    dialect: DialectName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.llm.retrying.MOST", {"network": 0, "server": 0, "rate": 0})
    async with simulated(dialect, rpm=1, burst=1) as (caller, _):
        await caller.call()
        with pytest.raises(RateLimitedError) as caught:
            await caller.call()
    assert caught.value.wait_s
    assert caught.value.wait_s > 1


async def test_a_streamed_reply_says_what_the_whole_one_says(dialect: DialectName) -> None:
    async with simulated(dialect) as (caller, url):
        whole = await caller.call(max_tokens=400)
        text, events = await caller.streamed()
        seen = await stats(url)
    assert text == whole.text
    assert sum(bool(event.text) for event in events) > 1
    assert "stop" in {event.finish_reason for event in events}
    assert {"m-1"} == {event.model for event in events if event.model}
    counted = sum(e.completion_tokens for e in events) + whole.completion_tokens
    assert counted == seen["tokens"]["completion"]


async def test_a_stream_that_is_cut_is_an_outage(dialect: DialectName) -> None:
    async with simulated(dialect, faults="drop=1") as (caller, _):
        with pytest.raises(ProviderDownError):
            await caller.streamed()

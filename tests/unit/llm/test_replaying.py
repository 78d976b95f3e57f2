"""A step in batch mode runs on the replies that it has, and says which it needs."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from tasks.errors import BadReplyError, PermanentError, RefusedCallError
from tasks.llm.pending import KnownReplies, PendingRepliesError
from tasks.llm.providers import Provider
from tasks.llm.replaying import ReplayingCompleter
from tasks.llm.scope import CallScope
from tasks.llm.structured import ask_structured, idempotency_key
from tasks.schemas.batches import BatchReply
from tasks.schemas.calls import Message, StructuredCall
from tasks.schemas.completion import Completion
from tasks.schemas.frozen import Frozen
from tasks.schemas.limits import Limits
from tasks.turns import Turns


class Answer(Frozen):
    """What the model is asked for."""

    text: str


PROVIDER = Provider(
    name="p",
    base_url="http://127.0.0.1:1/v1",
    api_key=SecretStr(""),
    model="m",
    vision_model="",
    limits=Limits(),
    timeout_s=1,
    structured="json_schema",
)
GOOD = '{"text": "hello"}'


def call(name: str = "a") -> StructuredCall[Answer]:
    message = Message(role="user", content="say hello")
    return StructuredCall(name=name, messages=(message,), reply=Answer)


def reply(
    name: str, ask: int = 0, *, text: str = "", attempts: int = 1, **fields: object
) -> BatchReply:
    done = Completion(
        text=text, finish_reason="stop", model="m", prompt_tokens=5, completion_tokens=2
    )
    key = idempotency_key("s", name, ask)
    given = {"completion": done if text else None, **fields}
    return BatchReply.model_validate({"key": key, "attempts": attempts, **given})


def run(
    *names: str, replies: tuple[BatchReply, ...] = (), scope: CallScope | None = None
) -> list[Answer]:
    """Ask for these calls side by side."""

    async def load() -> KnownReplies:
        await asyncio.sleep(0)
        return KnownReplies({r.key: r for r in replies}, 7)

    async def ask_all() -> list[Answer]:
        completer, turns = ReplayingCompleter(PROVIDER, load), Turns()
        inside = scope or CallScope(key="s")
        asked = (ask_structured(completer, call(n), inside, turns=turns) for n in names)
        return list(await asyncio.gather(*asked))

    return asyncio.run(ask_all())


def pending(*names: str, replies: tuple[BatchReply, ...] = ()) -> PendingRepliesError:
    with pytest.raises(PendingRepliesError) as caught:
        run(*names, replies=replies)
    return caught.value


def test_calls_side_by_side_are_all_named_at_once_with_their_requests() -> None:
    error = pending("a", "b", "c")
    assert [c.key for c in error.calls] == [idempotency_key("s", n, 0) for n in "abc"]
    assert error.known_bytes == 7
    body = json.loads(error.calls[0].body)
    assert body["messages"] == [{"role": "user", "content": "say hello"}]
    assert body["response_format"]["json_schema"]["strict"] is True


def test_only_what_has_no_answer_is_asked_and_a_bad_answer_is_asked_about_again() -> None:
    good, bad, worse = (
        reply("a", text=GOOD),
        reply("b", text="no JSON at all"),
        reply("c", text="{"),
    )
    error = pending("a", "b", "c", "d", replies=(good, bad, worse))
    wanted = {idempotency_key("s", n, ask) for n, ask in (("b", 1), ("c", 1), ("d", 0))}
    assert {c.key for c in error.calls} == wanted


def test_with_every_answer_there_the_result_and_the_tally_are_those_of_a_direct_call() -> None:
    scope = CallScope(key="s")
    replies = (reply("a", text="no"), reply("a", 1, text=GOOD, attempts=2))
    assert run("a", replies=replies, scope=scope) == [Answer(text="hello")]
    usage = scope.tally.usage
    assert (usage.made, usage.retried, usage.prompt_tokens) == (3, 1, 10)


def test_a_call_that_may_be_mended_is_asked_again_with_its_attempts_counted_on() -> None:
    again = reply("a", attempts=2, error="HTTP 503 in a batch", status=503, again=True)
    assert [c.attempt for c in pending("a", replies=(again,)).calls] == [3]


def test_a_call_that_failed_for_good_fails_its_step_as_a_direct_call_would() -> None:
    with pytest.raises(RefusedCallError, match="400"):
        run("a", replies=(reply("a", error="HTTP 400 in a batch", status=400),))
    with pytest.raises(PermanentError, match="503"):
        run("a", replies=(reply("a", error="HTTP 503 in a batch, 3 times", status=503),))
    with pytest.raises(BadReplyError):
        run("a", replies=(reply("a", text="no"), reply("a", 1, text="no")))

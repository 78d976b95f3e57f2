"""What any shelf must do, and what callers that share calls over it get; run on memory, fakeredis
and Valkey.
"""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.errors import BadReplyError, ProviderDownError, RefusedCallError
from tasks.llm.cache.caching import CachingCompleter
from tasks.llm.cache.shelf import Shelf
from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope, CallTally
from tasks.schemas.calls import CallUsage, Message
from tasks.schemas.completion import ChatRequest, Completion
from tasks.schemas.limits import Limits

PROVIDER = Provider(
    name="p",
    base_url="http://127.0.0.1:1/v1",
    api_key=SecretStr(""),
    model="m",
    vision_model="",
    limits=Limits(),
    timeout_s=1.0,
    structured="prompt",
)
MOMENT_S = 0.4


def reply(text: str = "yes", *, finish_reason: str = "stop") -> Completion:
    """Build a completion of 7 + 3 tokens."""
    return Completion(
        text=text, finish_reason=finish_reason, model="m", prompt_tokens=7, completion_tokens=3
    )


def question(text: str = "a secret?", **fields: Any) -> ChatRequest:
    """Build a request at temperature 0."""
    fields = {"temperature": 0.0, "model": "m", "max_tokens": 9, **fields}
    return ChatRequest(messages=(Message(role="user", content=text),), **fields)


class Calls:
    """A completer whose calls begin when asked and end when `answer` is called; it counts them."""

    def __init__(self, outcome: Completion | Exception | None = None) -> None:
        self.provider = PROVIDER
        self.made = 0
        self._outcome: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self.began = asyncio.Event()
        if outcome is not None:
            self.answer(outcome)

    def answer(self, outcome: Completion | Exception) -> None:
        """Let every call end like this, those to come too."""
        self._outcome = asyncio.get_running_loop().create_future()
        if isinstance(outcome, Completion):
            self._outcome.set_result(outcome)
        else:
            self._outcome.set_exception(outcome)
            self._outcome.exception()
        self.began.set()

    def hang(self) -> None:
        """Let calls to come wait."""
        self._outcome = asyncio.get_running_loop().create_future()
        self.began.clear()

    def finish(self, outcome: Completion) -> None:
        """Let the calls that wait end."""
        self._outcome.set_result(outcome)

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        self.made += 1
        scope.tally.attempt(again=False)
        self.began.set()
        done = await asyncio.shield(self._outcome)
        scope.tally.complete(done)
        return done

    async def close(self) -> None:
        """Nothing is open."""


def process(shelf: Shelf | None, calls: Calls, **options: Any) -> CachingCompleter:
    """Open what one process asks through."""
    return CachingCompleter(calls, shelf, **options)


async def ask(
    completer: CachingCompleter, request: ChatRequest | None = None, **scope: Any
) -> tuple[Completion, CallUsage]:
    """Ask as one asker; returns the reply and what it cost that asker."""
    tally = CallTally()
    done = await completer.complete(
        request or question(), key="k", scope=CallScope(key="s", tally=tally, **scope)
    )
    return done, tally.usage


def begin(completer: CachingCompleter, **more: Any) -> "asyncio.Task[tuple[Completion, CallUsage]]":
    """Begin to ask."""
    return asyncio.create_task(ask(completer, **more))


def refuse(_: Completion) -> None:
    """Accept nothing."""
    raise BadReplyError("does not fit")


@pytest.mark.anyio
class ShelfContract:
    """Give a `shelf` fixture, inherit the tests."""

    async def place(self, shelf: Shelf, token: str, **more: Any) -> str:
        """Ask and show the answer as one word."""
        fields = {"waited_for": "", "lease_s": 30.0, **more}
        found = await shelf.ask("e", token=token, **fields)
        return found.verdict + (f" {found.leader}{found.text}" if found.verdict != "lead" else "")

    async def test_one_of_many_leads_and_the_others_hear_who(self, shelf: Shelf) -> None:
        places = await asyncio.gather(*(self.place(shelf, str(n)) for n in range(20)))
        assert places.count("lead") == 1
        assert set(places) == {"lead", f"wait {places.index('lead')}"}

    async def test_a_kept_outcome_is_for_everybody_until_it_expires(self, shelf: Shelf) -> None:
        await self.place(shelf, "a")
        await shelf.put("e", token="a", kind="kept", text="T", ttl_s=MOMENT_S)
        assert await self.place(shelf, "b") == "found T"
        await asyncio.sleep(2 * MOMENT_S)
        assert await self.place(shelf, "b") == "lead"

    async def test_a_handed_outcome_is_only_for_those_who_waited(self, shelf: Shelf) -> None:
        await self.place(shelf, "a")
        await shelf.put("e", token="a", kind="handed", text="T", ttl_s=30)
        assert await self.place(shelf, "b", waited_for="a") == "found T"
        assert await self.place(shelf, "c") == "lead"
        assert await self.place(shelf, "b", waited_for="a") == "wait c"

    async def test_a_dead_leader_is_followed_by_exactly_one(self, shelf: Shelf) -> None:
        await self.place(shelf, "dead", lease_s=MOMENT_S)
        assert await self.place(shelf, "b") == "wait dead"
        await asyncio.sleep(2 * MOMENT_S)
        places = await asyncio.gather(*(self.place(shelf, str(n)) for n in range(20)))
        assert places.count("lead") == 1

    async def test_a_leader_that_renews_leads_past_its_lease(self, shelf: Shelf) -> None:
        await self.place(shelf, "a", lease_s=MOMENT_S)
        await shelf.renew("e", token="a", lease_s=30)
        await shelf.renew("e", token="stranger", lease_s=MOMENT_S)
        await asyncio.sleep(2 * MOMENT_S)
        assert await self.place(shelf, "b") == "wait a"

    async def test_a_leader_that_steps_down_is_followed_at_once(self, shelf: Shelf) -> None:
        await self.place(shelf, "a")
        await shelf.step_down("e", token="stranger")
        assert await self.place(shelf, "b") == "wait a"
        await shelf.step_down("e", token="a")
        assert await self.place(shelf, "b") == "lead"

    async def test_a_leader_that_lost_its_lease_may_give_a_reply_but_no_failure(
        self, shelf: Shelf
    ) -> None:
        await self.place(shelf, "slow", lease_s=MOMENT_S)
        await asyncio.sleep(2 * MOMENT_S)
        assert await self.place(shelf, "b") == "lead"
        await shelf.put("e", token="slow", kind="handed", text="F", ttl_s=30)
        await shelf.step_down("e", token="slow")
        assert await self.place(shelf, "c", waited_for="slow") == "wait b"
        await shelf.put("e", token="slow", kind="kept", text="first", ttl_s=30)
        await shelf.put("e", token="b", kind="kept", text="second", ttl_s=30)
        assert await self.place(shelf, "c") == "found first"


@pytest.mark.anyio
class CachingContract:
    """Give a `shelf` fixture, inherit the tests; each completer stands for a process."""

    async def test_fifty_who_ask_the_same_make_one_call_and_one_pays(self, shelf: Shelf) -> None:
        calls = Calls()
        processes = [process(shelf, calls) for _ in range(2)]
        asking = [begin(processes[n % 2]) for n in range(50)]
        await calls.began.wait()
        calls.finish(reply())
        answers = await asyncio.gather(*asking)
        assert calls.made == 1
        assert {done.text for done, _ in answers} == {"yes"}
        total = sum((usage for _, usage in answers), CallUsage())
        assert (total.made, total.cached) == (1, 49)
        assert (total.prompt_tokens, total.completion_tokens) == (7, 3)

    async def test_a_reply_is_kept_for_its_ttl(self, shelf: Shelf) -> None:
        calls = Calls(reply())
        first, second = (process(shelf, calls, ttl_s=2 * MOMENT_S) for _ in range(2))
        await ask(first)
        assert (await ask(second))[1] == CallUsage(cached=1, model="m")
        await asyncio.sleep(4 * MOMENT_S)
        await ask(second)
        assert calls.made == 2

    @pytest.mark.parametrize(
        ("fields", "shared"),
        [
            ({"temperature": 0.0}, True),
            ({"temperature": 0.7}, False),
            ({"temperature": 0.7, "cache": True}, True),
            ({"temperature": 0.0, "cache": False}, False),
        ],
    )
    async def test_calls_are_shared_at_temperature_0_or_when_marked(
        self, shelf: Shelf, fields: dict[str, Any], shared: bool
    ) -> None:
        calls = Calls(reply())
        for _ in range(2):
            await ask(process(shelf, calls), question(**fields))
        assert calls.made == (1 if shared else 2)

    @pytest.mark.parametrize(
        "other",
        [
            question("another"),
            question(model="n"),
            question(max_tokens=10),
            question(schema_name="S"),
            question(schema_body={"type": "object"}),
            question(temperature=0.1, cache=True),
            question().model_copy(
                update={"messages": (Message(role="user", content="a secret?", image="data:,"),)}
            ),
        ],
    )
    async def test_whatever_changes_the_reply_makes_it_another_call(
        self, shelf: Shelf, other: ChatRequest
    ) -> None:
        calls = Calls(reply())
        caching = process(shelf, calls)
        await ask(caching)
        await ask(caching, other)
        assert calls.made == 2

    @pytest.mark.parametrize("reason", ["length", "content_filter", "refusal"])
    async def test_an_unfinished_reply_is_for_those_only_who_waited(
        self, shelf: Shelf, reason: str
    ) -> None:
        await self.shared_but_not_kept(shelf, reply("cut", finish_reason=reason))

    async def test_a_reply_that_is_not_accepted_is_for_those_only_who_waited(
        self, shelf: Shelf
    ) -> None:
        await self.shared_but_not_kept(shelf, reply("odd"), accept=refuse)

    async def shared_but_not_kept(self, shelf: Shelf, bad: Completion, **more: Any) -> None:
        """Check that a bad reply ends one call for all who wait, and that the next asks anew."""
        calls = Calls()
        waiting = [begin(process(shelf, calls), **more) for _ in range(3)]
        await calls.began.wait()
        await asyncio.sleep(MOMENT_S)  # all of them ask before the bad reply is there
        calls.finish(bad)
        assert {done.text for done, _ in await asyncio.gather(*waiting)} == {bad.text}
        assert calls.made == 1
        calls.answer(reply("good"))
        assert (await ask(process(shelf, calls)))[0].text == "good"
        assert (await ask(process(shelf, calls)))[1].cached == 1

    async def test_a_refusal_is_for_all_who_waited_and_for_nobody_later(self, shelf: Shelf) -> None:
        calls = Calls()
        waiting = [begin(process(shelf, calls)) for _ in range(3)]
        await calls.began.wait()
        await asyncio.sleep(MOMENT_S)
        calls._outcome.set_exception(RefusedCallError("no", status=401, hint="key"))
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [(type(e), e.status, e.hint) for e in ended] == [(RefusedCallError, 401, "key")] * 3  # type: ignore[union-attr]
        assert calls.made == 1
        calls.answer(reply())
        assert (await ask(process(shelf, calls)))[1].made == 1

    async def test_a_failure_that_may_pass_lets_another_process_try(self, shelf: Shelf) -> None:
        failing, working = Calls(), Calls(reply())
        first = process(shelf, failing)
        fellows = [begin(first) for _ in range(2)]
        await failing.began.wait()
        other = begin(process(shelf, working))
        await asyncio.sleep(0)
        failing._outcome.set_exception(ProviderDownError("502", status=502))
        ended = await asyncio.gather(*fellows, return_exceptions=True)
        assert [type(e) for e in ended] == [ProviderDownError] * 2
        assert (await other)[0].text == "yes"
        assert (failing.made, working.made) == (1, 1)

    async def test_a_call_goes_on_when_one_of_its_askers_gives_up(self, shelf: Shelf) -> None:
        calls = Calls()
        caching = process(shelf, calls)
        gone, stays = begin(caching), begin(caching)
        await calls.began.wait()
        gone.cancel()
        await asyncio.sleep(0)
        calls.finish(reply())
        assert (await stays)[1].made == 1
        assert gone.cancelled()
        assert calls.made == 1

    async def test_when_the_last_asker_of_a_leader_gives_up_another_process_calls(
        self, shelf: Shelf
    ) -> None:
        hanging, working = Calls(), Calls(reply())
        leader = begin(process(shelf, hanging))
        await hanging.began.wait()
        other = begin(process(shelf, working))
        await asyncio.sleep(0)
        leader.cancel()
        assert (await asyncio.wait_for(other, 5))[1].made == 1

    async def test_who_waits_for_a_dead_leader_calls_when_its_lease_ends(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hanging, working = Calls(), Calls(reply())
        dead = process(shelf, hanging, lease_s=MOMENT_S)
        monkeypatch.setattr(dead, "_renew", forget)
        abandoned = begin(dead)
        await hanging.began.wait()
        waiting = [begin(process(shelf, working)) for _ in range(5)]
        await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert working.made == 1
        abandoned.cancel()

    async def test_a_slow_leader_keeps_its_place_past_its_lease(self, shelf: Shelf) -> None:
        calls = Calls()
        leader = begin(process(shelf, calls, lease_s=MOMENT_S))
        await calls.began.wait()
        other = begin(process(shelf, calls))
        await asyncio.sleep(3 * MOMENT_S)
        calls.finish(reply())
        assert (await other)[1].cached == 1
        assert (await leader)[1].made == 1

    async def test_a_very_large_reply_is_not_kept(self, shelf: Shelf) -> None:
        calls = Calls(reply("x" * 300_000))
        await ask(process(shelf, calls))
        await ask(process(shelf, calls))
        assert calls.made == 2

    async def test_closing_ends_the_calls_that_are_under_way(self, shelf: Shelf) -> None:
        calls = Calls()
        caching = process(shelf, calls)
        asking = begin(caching)
        await calls.began.wait()
        await caching.close()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def forget(*_: Any) -> None:
    """Renew nothing, as a process that is gone."""

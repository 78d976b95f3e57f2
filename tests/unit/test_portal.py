"""Calls cross to a loop of their own and back: in order, in bursts, in their asker's context."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from typing import Any

import pytest

from tasks.inbox import Inbox
from tasks.portal import Portal

ASKED_BY: contextvars.ContextVar[str] = contextvars.ContextVar("asked_by")


@pytest.fixture
def portal() -> Iterator[Portal]:
    """Open a portal."""
    opened = Portal()
    yield opened
    opened.close()


class SlowLoop:
    """A loop that is woken and does nothing until somebody runs it."""

    def __init__(self) -> None:
        self.woken: list[Callable[[], None]] = []

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        self.woken.append(function)


def test_a_burst_wakes_the_loop_once_and_is_done_in_order() -> None:
    loop, done = SlowLoop(), []
    inbox = Inbox(loop)  # type: ignore[arg-type]  # all that an inbox needs of a loop
    for number in range(5):
        inbox.put(done.append, number)
    assert len(loop.woken) == 1
    loop.woken.pop()()
    assert done == [0, 1, 2, 3, 4]
    inbox.put(done.append, 5)
    assert len(loop.woken) == 1


def test_a_function_that_fails_leaves_the_others_to_be_done() -> None:
    loop, done = SlowLoop(), []
    inbox = Inbox(loop)  # type: ignore[arg-type]
    inbox.put(lambda: 1 / 0)
    inbox.put(done.append, "after it")
    with pytest.raises(ZeroDivisionError):
        loop.woken.pop()()
    loop.woken.pop()()
    assert done == ["after it"]


async def asked_by() -> str:
    """Say in whose context this runs."""
    return ASKED_BY.get("nobody")


def test_a_call_runs_in_the_context_of_who_asked(portal: Portal) -> None:
    async def ask(name: str) -> str:
        ASKED_BY.set(name)
        return (await portal.hop(asked_by)).result()

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(ask(name) for name in "abc"))

    assert asyncio.run(all_at_once()) == ["a", "b", "c"]
    context = contextvars.copy_context()
    context.run(ASKED_BY.set, "a thread")
    assert context.run(portal.call, asked_by) == "a thread"
    assert portal.call(asked_by) == "nobody"


def test_calls_from_many_loops_find_back_to_their_own(portal: Portal) -> None:
    async def echo(number: int) -> tuple[int, str]:
        await asyncio.sleep(0)
        return number, threading.current_thread().name

    async def ask(first: int) -> list[int]:
        ended = await asyncio.gather(*(portal.hop(echo, first + n) for n in range(50)))
        assert len({task.result()[1] for task in ended}) == 1
        return [task.result()[0] for task in ended]

    found: dict[int, list[int]] = {}

    def in_a_loop(first: int) -> None:
        found[first] = asyncio.run(ask(first))

    threads = [threading.Thread(target=in_a_loop, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n * 50: list(range(n * 50, n * 50 + 50)) for n in range(4)}
    assert not portal._askers


def test_cancelling_ends_the_call_from_either_side(portal: Portal) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def for_ever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    started = portal.start(for_ever)
    assert begun.wait(20)
    assert started.cancel()
    assert ended.wait(20)
    with pytest.raises(CancelledError):
        started.result()
    begun.clear()
    ended.clear()

    async def give_up() -> None:
        call = asyncio.create_task(portal.hop(for_ever))
        await asyncio.to_thread(begun.wait, 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(give_up())
    assert ended.wait(20)


def test_a_call_that_is_cancelled_before_it_begins_never_does(portal: Portal) -> None:
    hold, made = threading.Event(), []

    async def note() -> None:
        made.append("call")

    async def hold_up() -> None:
        hold.wait(20)  # the loop is to stand still

    held = portal.start(hold_up)
    late = portal.start(note)
    late.cancel()
    hold.set()
    held.result(20)
    portal.call(note)
    assert made == ["call"]


def test_who_waits_for_a_cancelled_call_waits_until_it_has_really_ended(portal: Portal) -> None:
    begun, said = threading.Event(), []

    async def tidy_up() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            said.append("tidy")

    started = portal.start(tidy_up)
    assert begun.wait(20)
    started.cancel()
    assert not wait([started], timeout=20).not_done
    assert said == ["tidy"]


def test_an_error_is_raised_where_it_is_read_and_a_closed_portal_takes_no_calls() -> None:
    async def fail() -> None:
        raise LookupError("nothing here")

    async def ask(portal: Portal) -> Any:
        return (await portal.hop(fail)).result()

    portal = Portal()
    with pytest.raises(LookupError):
        portal.call(fail)
    with pytest.raises(TypeError):
        portal.call(fail, "one too many")
    with pytest.raises(LookupError):
        asyncio.run(ask(portal))
    portal.close()
    with pytest.raises(RuntimeError):
        portal.start(fail)
    with pytest.raises(RuntimeError):
        asyncio.run(ask(portal))

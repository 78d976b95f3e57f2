"""Micro-batches: by number or time, urgent first, each asker its own answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadReplyError, CastlineError, ClientClosedError, QueueFullError
from tasks.llm.microbatch import MicroBatcher

NEVER_S = 3600.0


class Work:
    """Executes batches: notes them, answers each item with itself, fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.begun = asyncio.Event()
        self.bad: set[int] = set()
        self.fatal: set[int] = set()
        self.now = self.most = 0

    async def __call__(self, items: Sequence[int]) -> list[str | CastlineError]:
        self.batches.append(list(items))
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        try:
            await self.go_on.wait()
            await asyncio.sleep(0)
            if self.fatal.intersection(items):
                raise BadReplyError(f"batch {min(items)}")
            return [CastlineError(str(n)) if n in self.bad else str(n) for n in items]
        finally:
            self.now -= 1


def check(steps: Callable[[], Awaitable[None]]) -> None:
    """Run a test's steps; one that hangs fails."""

    async def within() -> None:
        await asyncio.wait_for(steps(), 20)

    asyncio.run(within())


@given(
    asks=st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 3), st.booleans()), max_size=24),
    bad=st.sets(st.integers(0, 23)),
    fatal=st.sets(st.integers(0, 23), max_size=2),
    size=st.integers(1, 5),
    in_flight=st.integers(1, 3),
)
def test_every_asker_gets_exactly_its_own_answer(
    asks: list[tuple[int, int, bool]], bad: set[int], fatal: set[int], size: int, in_flight: int
) -> None:
    async def steps() -> None:
        work = Work()
        work.bad, work.fatal = bad, fatal
        micro: MicroBatcher[int, str] = MicroBatcher(
            work, size=size, deadline_s=0.0, in_flight=in_flight
        )
        askers: list[asyncio.Task[str]] = []
        left: set[int] = set()
        for number, (priority, turns, leaves) in enumerate(asks):
            askers.append(asyncio.create_task(micro.ask(number, priority=priority)))
            for _ in range(turns):
                await asyncio.sleep(0)
            if leaves and askers[number // 2].cancel():
                left.add(number // 2)
        answers = await asyncio.gather(*askers, return_exceptions=True)
        await micro.close()
        batch_of = {n: batch for batch in work.batches for n in batch}
        assert len(batch_of) == sum(len(batch) for batch in work.batches)
        assert all(len(batch) <= size for batch in work.batches)
        assert work.most <= in_flight
        assert micro.waiting == 0
        for number, answer in enumerate(answers):
            if number in left:
                assert isinstance(answer, asyncio.CancelledError)
            elif fatal.intersection(batch_of[number]):
                assert isinstance(answer, BadReplyError)
                assert str(answer) == f"batch {min(batch_of[number])}"
            else:
                assert isinstance(answer, CastlineError) == (number in bad)
                assert str(answer) == str(number)

    check(steps)


def test_a_full_batch_does_not_wait_for_its_time() -> None:
    async def steps() -> None:
        work = Work()
        micro: MicroBatcher[int, str] = MicroBatcher(work, size=3, deadline_s=NEVER_S)
        assert await asyncio.gather(*(micro.ask(n) for n in range(6))) == list("012345")
        assert work.batches == [[0, 1, 2], [3, 4, 5]]

    check(steps)


def test_a_lone_question_is_answered_when_its_time_is_up() -> None:
    async def steps() -> None:
        work = Work()
        micro: MicroBatcher[int, str] = MicroBatcher(work, size=50, deadline_s=0.001)
        assert await micro.ask(7) == "7"
        assert await micro.ask(8) == "8"
        assert work.batches == [[7], [8]]

    check(steps)


def test_the_urgent_go_first_and_equals_in_order() -> None:
    async def steps() -> None:
        work = Work()
        work.go_on.clear()
        micro: MicroBatcher[int, str] = MicroBatcher(work, size=2, deadline_s=NEVER_S, in_flight=1)
        first = [asyncio.create_task(micro.ask(n)) for n in (0, 1)]
        await work.begun.wait()
        later = [
            asyncio.create_task(micro.ask(n, priority=p))
            for n, p in ((2, 5), (3, 1), (4, 1), (5, 0))
        ]
        while micro.waiting < 4:  # noqa: ASYNC110 they have asked
            await asyncio.sleep(0)
        work.go_on.set()
        await asyncio.gather(*first, *later)
        assert work.batches == [[0, 1], [5, 3], [4, 2]]

    check(steps)


def test_who_leaves_is_not_asked_for_and_makes_room() -> None:
    async def steps() -> None:
        work = Work()
        micro: MicroBatcher[int, str] = MicroBatcher(
            work, size=2, deadline_s=NEVER_S, max_waiting=1
        )
        leaver = asyncio.create_task(micro.ask(0))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await micro.ask(1)
        leaver.cancel()
        await asyncio.wait([leaver])
        stays = asyncio.create_task(micro.ask(2))
        await asyncio.sleep(0)
        await micro.close()
        assert await stays == "2"
        assert work.batches == [[2]]

    check(steps)


def test_a_batch_whose_askers_all_left_is_not_executed() -> None:
    async def steps() -> None:
        work = Work()
        micro: MicroBatcher[int, str] = MicroBatcher(work, size=1, deadline_s=NEVER_S)
        leaver = asyncio.create_task(micro.ask(0))
        await asyncio.sleep(0)  # its batch is begun and has not run
        leaver.cancel()
        await asyncio.wait([leaver])
        await micro.close()
        assert work.batches == []

    check(steps)


def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    async def steps() -> None:
        work = Work()
        micro: MicroBatcher[int, str] = MicroBatcher(work, size=4, deadline_s=NEVER_S, in_flight=1)
        askers = [asyncio.create_task(micro.ask(n)) for n in range(6)]
        await work.begun.wait()
        await micro.close()
        assert [await asker for asker in askers] == list("012345")
        with pytest.raises(ClientClosedError):
            await micro.ask(9)

    check(steps)


def test_an_execute_that_forgets_somebody_fails_all_instead_of_mixing_up_answers() -> None:
    async def forgetful(items: Sequence[int]) -> list[str]:
        return ["0"]

    async def steps() -> None:
        micro: MicroBatcher[int, str] = MicroBatcher(forgetful, size=2, deadline_s=NEVER_S)
        answers = await asyncio.gather(micro.ask(0), micro.ask(1), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RuntimeError] * 2

    check(steps)

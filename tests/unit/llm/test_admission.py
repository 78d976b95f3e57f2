"""A client's places: taken at once, handed on in order, refused past the queue."""

import asyncio

import pytest

from tasks.errors import QueueFullError
from tasks.llm.admission import Admission

pytestmark = pytest.mark.anyio


async def waiting_at(admission: Admission, *, patient: bool = False) -> "asyncio.Task[None]":
    """Begin to wait for a place."""
    task = asyncio.create_task(admission.enter(patient=patient))
    await asyncio.sleep(0)
    return task


async def test_a_place_that_is_left_goes_to_who_waits_longest_and_to_nobody_else() -> None:
    admission = Admission(places=1, queue_size=5)
    assert admission.try_enter()
    first, second = await waiting_at(admission), await waiting_at(admission)
    admission.leave()
    assert not admission.try_enter()  # it is handed over, though the first has not run yet
    await first
    assert (admission.in_flight, admission.waiting) == (1, 1)
    admission.leave()
    await second
    admission.leave()
    assert (admission.in_flight, admission.waiting) == (0, 0)


async def test_who_is_cancelled_in_the_moment_of_the_handing_over_passes_the_place_on() -> None:
    admission = Admission(places=1, queue_size=5)
    await admission.enter()
    cancelled, gone, last = [await waiting_at(admission) for _ in range(3)]
    gone.cancel()
    admission.leave()
    cancelled.cancel()
    await asyncio.wait([cancelled, gone, last])
    assert (cancelled.cancelled(), gone.cancelled(), last.cancelled()) == (True, True, False)
    admission.leave()
    assert (admission.in_flight, admission.waiting) == (0, 0)


async def test_past_the_queue_only_the_patient_wait() -> None:
    admission = Admission(places=1, queue_size=1)
    await admission.enter()
    queued, patient = await waiting_at(admission), await waiting_at(admission, patient=True)
    with pytest.raises(QueueFullError):
        await admission.enter()
    for task in (queued, patient):
        admission.leave()
        await task
    assert admission.in_flight == 1

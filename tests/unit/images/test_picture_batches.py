from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.images.batches import FittingBatches
from tasks.images.faults import GpuLostError, PictureMemoryError


class Device:
    """Draws numbers doubled, as long as no more than `room` are asked for at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []
        self.freed = 0

    def draw(self, batch: Sequence[int]) -> list[int]:
        self.tried.append(len(batch))
        if len(batch) > self.room:
            raise PictureMemoryError("full")
        return [2 * number for number in batch]

    def free(self) -> None:
        self.freed += 1


@given(st.integers(1, 20), st.integers(0, 20))
def test_all_pictures_come_back_in_order_whatever_fits(room: int, count: int) -> None:
    device = Device(room)
    drawn = FittingBatches(free=device.free).draw(list(range(count)), device.draw, kind="k")
    assert drawn == [2 * number for number in range(count)]


def test_the_batch_is_halved_and_memory_freed_each_time_it_runs_out() -> None:
    device = Device(2)
    FittingBatches(free=device.free).draw(range(8), device.draw, kind="k")
    assert device.tried == [8, 4, 2, 2, 2, 2]
    assert device.freed == 2


def test_a_size_that_fitted_is_remembered_for_its_kind_only() -> None:
    device = Device(2)
    batches = FittingBatches(free=device.free)
    batches.draw(range(4), device.draw, kind="large")
    device.tried.clear()
    batches.draw(range(4), device.draw, kind="large")
    device.room = 4
    batches.draw(range(4), device.draw, kind="small")
    assert device.tried == [2, 2, 4]


def test_a_batch_is_never_larger_than_allowed() -> None:
    device = Device(99)
    FittingBatches(free=device.free, largest=3).draw(range(7), device.draw, kind="k")
    assert device.tried == [3, 3, 1]


def test_a_single_picture_that_does_not_fit_twice_is_given_up() -> None:
    device = Device(0)
    with pytest.raises(PictureMemoryError):
        FittingBatches(free=device.free).draw(range(4), device.draw, kind="k")
    assert device.tried == [4, 2, 1, 1]


def test_memory_that_comes_back_after_freeing_is_used() -> None:
    device = Device(0)

    def free() -> None:
        device.room = 1

    assert FittingBatches(free=free).draw([5], device.draw, kind="k") == [10]


def test_a_lost_gpu_is_not_tried_again() -> None:
    tried: list[int] = []

    def draw(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        raise GpuLostError("gone")

    with pytest.raises(GpuLostError):
        FittingBatches(free=lambda: None).draw(range(4), draw, kind="k")
    assert tried == [4]

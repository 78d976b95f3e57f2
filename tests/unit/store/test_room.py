"""How full Redis is, and what a run would make of it."""

from tasks.store.room import STEP_BYTES, Room


def test_without_a_limit_there_is_always_room() -> None:
    room = Room(used_bytes=10**12, most_bytes=0)
    assert room.share == room.share_with(10**9) == 0
    assert room.said == "1,000,000.0 MB used, no limit"


def test_the_steps_of_a_run_count_before_they_are_written() -> None:
    room = Room(used_bytes=50 * STEP_BYTES, most_bytes=100 * STEP_BYTES)
    assert room.share == 0.5
    assert room.share_with(40) == 0.9
    assert room.said == "0.2 MB of 0.4 MB used (50%)"

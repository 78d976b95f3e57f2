import pytest

from producer.duration import clock_text, timer_text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.0 s"), (7.44, "7.4 s"), (59.97, "1:00"), (60, "1:00"), (3787.9, "1:03:07")],
)
def test_a_duration_reads_as_a_person_would_say_it(seconds: float, expected: str) -> None:
    assert clock_text(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-3, "0:00"), (7.9, "0:07"), (187, "3:07"), (36000, "10:00:00")]
)
def test_a_timer_counts_whole_seconds(seconds: float, expected: str) -> None:
    assert timer_text(seconds) == expected

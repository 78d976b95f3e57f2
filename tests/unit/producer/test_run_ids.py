"""Ids of runs: they sort by time, and many of one second are all different."""

import datetime

import time_machine

from producer.api.site import RUN_ID
from producer.submit import new_run_id

NOON = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)


def test_5000_runs_of_one_second_have_5000_ids() -> None:
    with time_machine.travel(NOON, tick=False):
        ids = {new_run_id() for _ in range(5000)}
    assert len(ids) == 5000
    assert all(RUN_ID.match(name) and name.startswith("20261126-120000-") for name in ids)


def test_a_later_run_sorts_behind_an_earlier_one() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        first = new_run_id()
        clock.shift(1)
        assert first < new_run_id()

"""A cluster on fakeredis, for what reads it: it has room (fakeredis has no INFO)."""

from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tasks.settings import Settings
from tasks.store import room
from tasks.store.ledger import Ledger
from tasks.store.room import Room
from tasks.store.sessions import Sessions


def cluster(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """Wire an empty cluster up; close its `redis`."""

    async def roomy(_: Any) -> Room:
        return Room(used_bytes=5, most_bytes=0)

    monkeypatch.setattr(room, "look", roomy)
    redis: Any = FakeAsyncRedis(decode_responses=True)
    return SimpleNamespace(
        redis=redis,
        ledger=Ledger(redis, owner="n/1"),
        sessions=Sessions(redis, slots=1),
        settings=Settings(**settings),
    )

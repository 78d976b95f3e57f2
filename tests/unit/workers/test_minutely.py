"""Once a minute upkeep samples, and tells each alert when it begins and when it ends."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from redis.exceptions import OutOfMemoryError

from tasks.observing import looking
from tasks.observing.alarms import Alarms, Changes, firing
from tasks.schemas.alerts import Alert
from tasks.store import keys, telemetry
from tests.unit.observing.cluster import cluster
from workers.minutely import Minutely
from workers.webhook import tell

pytestmark = pytest.mark.anyio

MINUTE = 29_000_000
ONE = Changes(begun=(Alert(id="a", text="t", since_ms=1),))


class Clock:
    """Redis' time as the test has it."""

    def __init__(self) -> None:
        self.ms = MINUTE * 60_000

    async def now_ms(self) -> int:
        """Tell the time."""
        return self.ms

    def pass_a_minute(self) -> None:
        """Let a minute pass."""
        self.ms += 60_000


@pytest.fixture
async def deps(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A cluster whose time is the test's."""
    found = cluster(monkeypatch)
    found.ledger = Clock()
    yield found
    await found.redis.aclose()


async def test_each_alert_is_told_once_when_it_begins_and_once_when_it_ends(
    deps: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="workers.minutely")
    leader, other = Minutely(deps), Minutely(deps)
    await deps.redis.hset(keys.BAD_MESSAGES, "x", "{}")
    await leader.tend()
    await leader.tend()
    deps.ledger.pass_a_minute()
    await leader.tend()
    await other.tend()
    assert caplog.messages == ["alert: in quarantine: 1 message, 0 steps"]
    assert caplog.records[0].levelname == "WARNING"
    await deps.redis.delete(keys.BAD_MESSAGES)
    deps.ledger.pass_a_minute()
    await other.tend()
    await leader.tend()
    assert caplog.messages[1:] == ["alert over: in quarantine: 1 message, 0 steps"]


async def test_who_looks_later_sees_since_when(deps: Any) -> None:
    begun_ms = deps.ledger.ms
    await deps.redis.hset(keys.BAD_MESSAGES, "x", "{}")
    [fresh] = await firing(deps, await looking.look(deps))
    await Minutely(deps).tend()
    deps.ledger.pass_a_minute()
    [alert] = await firing(deps, await looking.look(deps))
    assert (fresh.since_ms, alert.since_ms) == (0, begun_ms)


async def test_every_minute_has_a_sample(deps: Any) -> None:
    minutely = Minutely(deps)
    for _ in range(3):
        await minutely.tend()
        deps.ledger.pass_a_minute()
    counts = await telemetry.counted(deps.redis, first=MINUTE - 1, last=MINUTE + 3)
    assert sorted(counts) == [MINUTE, MINUTE + 1, MINUTE + 2]
    assert all(minute["now.waiting"] == 0 for minute in counts.values())


async def test_a_full_redis_is_told_once_though_it_takes_nothing(
    deps: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise OutOfMemoryError

    alarms = Alarms(deps)
    await deps.redis.hset(keys.BAD_MESSAGES, "x", "{}")
    with monkeypatch.context() as patched:
        patched.setattr(deps.redis, "hset", full)
        begun = [len((await alarms.review(await looking.look(deps))).begun) for _ in range(2)]
    assert begun == [1, 0]
    assert await alarms.review(await looking.look(deps)) == Changes()
    assert await deps.redis.hlen(keys.ALERTS) == 1


async def test_old_lines_leave_the_log_of_all(deps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []

    async def forget(_: Any, horizon_ms: int) -> None:
        dropped.append(horizon_ms)

    monkeypatch.setattr(telemetry, "forget_older", forget)
    await Minutely(deps).tend()
    assert dropped == [deps.ledger.ms - deps.settings.retention_s * 1000]


async def test_a_web_address_hears_what_began_and_ended(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("")
    one = Alert(id="quarantine", text="in quarantine: 1", since_ms=MINUTE * 60_000)
    await tell(httpserver.url_for("/hook"), Changes(begun=(one,), ended=(one,)))
    bodies = [json.loads(request.data) for request, _ in httpserver.log]
    assert {body.pop("state") for body in bodies} == {"begun", "ended"}
    assert bodies[0] == {
        "alert": "quarantine", "since": "2025-02-19T21:20:00+00:00", "text": "in quarantine: 1",
    }  # fmt: skip


async def test_an_alert_is_told_again_until_it_is_heard(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=503)
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=429)
    httpserver.expect_ordered_request("/hook").respond_with_data("")
    await tell(httpserver.url_for("/hook"), ONE, pause_s=0)
    assert [answer.status_code for _, answer in httpserver.log] == [503, 429, 200]


async def test_an_alert_that_is_refused_is_told_once(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=404)
    await tell(httpserver.url_for("/hook"), ONE, pause_s=0)
    assert len(httpserver.log) == 1


async def test_an_address_that_is_away_is_not_named_in_the_log(
    caplog: pytest.LogCaptureFixture, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/token-1234").respond_with_data("", status=500)
    await asyncio.wait_for(tell(httpserver.url_for("/token-1234"), ONE, pause_s=0), 10)
    assert len(httpserver.log) == 5
    assert "an alert could not be told: HTTPStatusError" in caplog.messages
    assert "token-1234" not in "".join(m for m in caplog.messages if "could not" in m)

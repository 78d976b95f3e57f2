"""A scrape says what the cluster did, in a form that Prometheus' own parser reads."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks import measures
from tasks.errors import ConfigurationError
from tasks.schemas.alerts import Alert
from tasks.schemas.limits import GateState
from tasks.schemas.moment import SessionCounts
from tasks.schemas.quarantine import QuarantineCounts
from tasks.store import telemetry
from tests.castline import free_port
from tests.unit.observing.cluster import cluster
from tests.unit.observing.moments import moment
from workers.metrics import Reading
from workers.scraping import Cluster, serve_metrics

Samples = dict[tuple[str, ...], float]
GATE = GateState(
    provider="p", rpm=60, tpm=0, slots=20, slots_now=15, slots_in_use=3, breaker="open",
    failures=9, open_s=4, blocked_s=0, changed=False,
)  # fmt: skip


def samples_in(text: str) -> Samples:
    """Read an exposition: each sample's value by its name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(reading: Reading) -> Samples:
    """Scrape what was read."""
    registry = CollectorRegistry()
    registry.register(Cluster(lambda: reading))
    return samples_in(generate_latest(registry).decode())


def test_totals_are_counters_and_a_moment_is_gauges() -> None:
    seen = scraped(
        Reading(
            moment=moment(
                gates=(GATE,),
                bad_messages=7,
                quarantine=QuarantineCounts(messages=2, steps=1, dropped_messages=0),
                sessions=SessionCounts(active=3, waiting=2, expired=9, removed_keys=40),
            ),
            totals=Counter({"call.ok": 5, "call.failed.rate": 2, "step.done": 4, "http.2xx": 6}),
            alerts=[Alert(id="quarantine", text="t")],
        )
    )
    assert seen["castline_redis_up",] == 1
    assert seen["castline_calls_total", "ok"] == 5
    assert seen["castline_calls_total", "rate"] == 2
    assert seen["castline_steps_total", "done"] == 4
    assert seen["castline_steps_total", "failed"] == 0
    assert seen["castline_http_answers_total", "2xx"] == 6
    assert seen["castline_queue_waiting", "llm.q"] == 0
    assert seen["castline_services_up", "llm"] == 1
    assert seen["castline_service_cpu_cores", "llm-1@a"] == 0.5
    assert seen["castline_machine_memory_ratio", "a"] == 0.4
    assert seen["castline_gate_slots_in_use", "p"] == 3
    assert seen["castline_gate_slots", "p"] == 15
    assert [seen["castline_gate_breaker", "p", s] for s in ("closed", "open", "half-open")] == [
        0, 1, 0,
    ]  # fmt: skip
    assert seen["castline_sessions", "waiting"] == 2
    assert seen["castline_sessions_expired_total",] == 9
    assert seen["castline_session_keys_removed_total",] == 40
    assert seen["castline_quarantined", "message"] == 2
    assert seen["castline_bad_messages_total",] == 7
    assert seen["castline_alerts_firing", "quarantine"] == 1


def test_a_histogram_counts_every_time_where_it_belongs() -> None:
    measures.take()
    times = [0.001, 0.02, 0.5, 0.5, 3.0, 400.0]
    for seconds in times:
        measures.observe("call", seconds)
    seen = scraped(Reading(moment=moment(), totals=Counter(measures.take())))
    buckets = {key[1]: n for key, n in seen.items() if key[0] == "castline_call_seconds_bucket"}
    assert len(buckets) > 20
    for end, count in buckets.items():
        assert count == sum(seconds <= float(end) for seconds in times)
    assert seen["castline_call_seconds_count",] == len(times)
    assert seen["castline_call_seconds_sum",] == pytest.approx(sum(times))


@pytest.fixture
async def deps(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Open an empty cluster."""
    found = cluster(monkeypatch)
    yield found
    await found.redis.aclose()


async def fetched(port: int) -> Samples:
    """Scrape over HTTP."""
    answer = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    return samples_in(answer.text)


@pytest.mark.anyio
async def test_every_scrape_reads_redis_anew_and_two_instances_say_the_same(deps: Any) -> None:
    ports = (free_port(), free_port())
    ends = [serve_metrics(deps, host="127.0.0.1", port=port) for port in ports]
    try:
        for total in (2, 4):
            await telemetry.ship(deps.redis, [], {"call.ok": 2}, minute=1, retention_s=60)
            for port in ports:
                assert (await fetched(port))["castline_calls_total", "ok"] == total
        with pytest.raises(ConfigurationError, match=str(ports[0])):
            serve_metrics(deps, host="127.0.0.1", port=ports[0])
    finally:
        for end in ends:
            await asyncio.to_thread(end)


@pytest.mark.anyio
async def test_while_redis_is_away_a_scrape_says_so_and_no_more(
    deps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> int:
        raise RedisConnectionError

    monkeypatch.setattr(deps.ledger, "now_ms", away)
    port = free_port()
    end = serve_metrics(deps, host="127.0.0.1", port=port)
    try:
        assert await fetched(port) == {("castline_redis_up",): 0}
    finally:
        await asyncio.to_thread(end)

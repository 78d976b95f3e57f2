"""Plain Celery under the same faults: it loses and repeats work, so the harness sees the faults."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.castline import ROOT, wait_for
from tests.chaos.farm import Provider, Store, provider_in

pytestmark = pytest.mark.integration

QUEUE = "celery"
SEND = """
import sys
from celery import chain, chord
from tests.chaos.plain_celery import ask, collect, write
items = sys.argv[2].split(",")
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[1] == "chord":
    chord(write.s(item) for item in items)(collect.s())
elif sys.argv[1] == "chains":
    for item in items:
        chain(write.si(item), write.si("after " + item)).delay()
else:
    for item in items:
        (ask if sys.argv[1] == "ask" else write).delay(item)
"""


@dataclass
class Plain:
    """A Valkey, a provider, and plain workers that nobody restarts."""

    store: Store
    provider: Provider
    environment: dict[str, str]
    stack: ExitStack

    def worker(self, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a worker; returns once it waits for messages."""
        before = self.listening()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.chaos.plain_celery", "worker"),
                *(
                    "--pool",
                    "threads",
                    "--concurrency",
                    "4",
                    "--without-gossip",
                    "--without-mingle",
                ),
            ],
            env={**self.environment, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.stack.callback(end, process)
        wait_for("the worker to wait for messages", lambda: self.listening() > before)
        return process

    def listening(self) -> int:
        """Count the connections that wait for messages."""
        return sum(line["cmd"] == "brpop" for line in self.store.client().client_list())

    def send(self, kind: str, *items: str) -> None:
        """Send items, one by one (`each`, `ask`), as chains of two or as a chord."""
        self.sender(kind, *items)()

    def sender(self, kind: str, *items: str) -> Callable[[], None]:
        """Prepare to send items: returns a function that does so at once."""
        process = subprocess.Popen(
            [sys.executable, "-c", SEND, kind, ",".join(items)],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def go() -> None:
            process.communicate("go\n")
            assert process.returncode == 0

        return go

    def written(self) -> set[str]:
        """List the items that were written."""
        return set(self.store.client().smembers("plain:written"))

    def left(self) -> int:
        """Count the messages that anybody will ever get."""
        client = self.store.client()
        return int(client.llen(QUEUE)) + int(client.hlen("unacked"))


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a worker that still runs."""
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Callable[..., Plain]]:
    """Give a function that starts the services."""
    with ExitStack() as stack:

        def start(*, latency_s: float = 0.1, **variables: Any) -> Plain:
            store = Store(tmp_path / "valkey")
            store.start()
            stack.callback(store.stop)
            provider = stack.enter_context(provider_in(tmp_path, "--latency", str(latency_s)))
            environment = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PLAIN_REDIS": store.url,
                "PLAIN_PROVIDER": provider.base_url,
                **variables,
            }
            return Plain(store, provider, environment, stack)

        yield start


def test_plain_celery_loses_a_chain_whose_message_a_frozen_worker_was_handed(
    plain: Callable[..., Plain],
) -> None:
    site = plain(PLAIN_ACKS_LATE="1")
    items = [f"item-{number}" for number in range(5)]
    end(swallowing(site, items))
    site.worker()
    wait_for("the others to be written", lambda: len(site.written()) == 8 and not site.left())
    [lost] = set(items) - site.written()
    assert f"after {lost}" not in site.written()


def swallowing(site: Plain, items: list[str]) -> "subprocess.Popen[bytes]":
    """Freeze an idle worker and send chains, of which it is handed one; returns the worker.

    Its request for a message is answered within a second, or lapses: then it is done again.
    """
    client = site.store.client()
    for _ in range(10):
        send = site.sender("chains", *items)
        worker = site.worker()
        worker.send_signal(signal.SIGSTOP)
        send()
        if client.llen(QUEUE) < len(items):
            return worker
        end(worker)
        client.delete(QUEUE)
    raise AssertionError("no message came while the frozen worker asked for one")


def test_plain_celery_never_runs_a_chords_body_whose_member_died_before_it_counted(
    plain: Callable[..., Plain],
) -> None:
    site = plain()
    doomed = site.worker(PLAIN_DIES_BEFORE_COUNTING="item-2")
    site.send("chord", "item-0", "item-1", "item-2")
    doomed.wait(60)
    site.worker()
    site.send("each", "after")
    wait_for("work to go on", lambda: "after" in site.written() and not site.left())
    assert site.written() == {"item-0", "item-1", "item-2", "after"}
    assert site.store.client().scard("plain:collected") == 0


def test_plain_celery_pays_twice_when_its_connections_are_killed(
    plain: Callable[..., Plain],
) -> None:
    site = plain(latency_s=5, PLAIN_ACKS_LATE="1")
    site.worker()
    client = site.store.client()
    site.send("each", "item-0")
    wait_for("the call", lambda: client.hlen("unacked") == 1)
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    wait_for("a second call", lambda: len(site.provider.calls()) == 2)
    assert {call["idempotency_key"] for call in site.provider.calls()} == {"item-0"}


def test_plain_celery_pays_twice_for_a_call_longer_than_the_visibility_timeout(
    plain: Callable[..., Plain],
) -> None:
    site = plain(latency_s=8, PLAIN_ACKS_LATE="1", PLAIN_VISIBILITY_S="1")
    site.worker()
    site.send("each", "item-0")
    wait_for("a second call", lambda: len(site.provider.calls()) > 1)
    assert {call["idempotency_key"] for call in site.provider.calls()} == {"item-0"}


def test_a_plain_celery_worker_with_a_spare_slot_ends_when_redis_comes_back(
    plain: Callable[..., Plain],
) -> None:
    site = plain(latency_s=5, PLAIN_ACKS_LATE="1")
    worker = site.worker()
    site.send("each", "item-0")
    wait_for("the call", lambda: site.store.client().hlen("unacked") == 1)
    site.store.kill()
    site.store.start()
    assert worker.wait(60) != 0


def test_plain_celery_loses_a_message_that_it_takes_from_a_full_redis(
    plain: Callable[..., Plain],
) -> None:
    site = plain(latency_s=2, PLAIN_ACKS_LATE="1")
    items = [f"item-{number}" for number in range(6)]
    site.send("ask", *items)
    worker, client = site.worker(), site.store.client()
    wait_for("calls", lambda: client.hlen("unacked") == 4)
    client.config_set("maxmemory", 1)
    assert worker.wait(60) != 0
    called = {call["idempotency_key"] for call in site.provider.calls()}
    assert len(called) + site.left() < len(items)


def test_a_plain_celery_worker_ends_on_poison(plain: Callable[..., Plain]) -> None:
    site = plain()
    worker = site.worker()
    site.store.client().lpush(QUEUE, b"\x80 not json")
    assert worker.wait(60) != 0

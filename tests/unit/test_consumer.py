"""A worker is back soon after its broker, however long that was away."""

from types import SimpleNamespace
from typing import Any

from kombu import Connection

from workers.consumer import LOOK_EVERY_S, Consumer


def test_a_broker_that_is_away_is_looked_for_at_short_intervals() -> None:
    consumer, waits = Consumer.__new__(Consumer), []
    conf = {
        "broker_connection_retry_on_startup": True,
        "broker_connection_retry": True,
        "broker_connection_max_retries": None,
    }
    consumer.app = SimpleNamespace(conf=SimpleNamespace(**conf))
    consumer.first_connection_attempt = True

    class Away(Connection):  # type: ignore[misc]
        """A broker that is away for seven looks, and after how long each comes."""

        def _ensure_connection(self, errback: Any, *given: Any, **named: Any) -> None:
            wait_s = named["interval_start"]
            for _ in range(7):
                waits.append(wait_s)
                wait_s = min(wait_s + named["interval_step"], named["interval_max"])

    connection = Away("redis://127.0.0.1:1/0")
    assert consumer.ensure_connected(connection) is connection
    assert max(waits) == LOOK_EVERY_S

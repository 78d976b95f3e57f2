"""Celery's consumer, which is back soon after Redis and sends its task events in groups.

Celery looks for a broker that is away less and less often, up to every 30 s: after an outage of a
minute work stood still for 12 s more. And it flushes its event buffer at every turn of its loop, so
that under load nearly each event is a message of its own: a quarter of an LLM worker's CPU time.
Half a second later is soon enough for eyes on Flower.
"""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

EVENTS_EVERY_S = 0.5
LOOK_EVERY_S = 2


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """The consumer of Castline's workers."""

    def ensure_connected(self, conn: Any) -> Any:
        """Wait for a broker that is away, and look for it every two seconds."""
        patient = {"interval_start": 1, "interval_step": 1, "interval_max": LOOK_EVERY_S}
        conn.ensure_connection = partial(conn.ensure_connection, **patient)
        return super().ensure_connected(conn)

    def register_with_event_loop(self, hub: Any) -> None:
        """Flush on a timer from now on; Celery calls this for each new connection."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(EVENTS_EVERY_S, self._flush_events)

    def on_send_event_buffered(self) -> None:
        """Leave the buffer to the timer; a full one goes at once."""

"""Celery's consumer, which sends its task events in groups instead of one by one.

Celery flushes its event buffer at every turn of its loop, so that under load nearly each event is a
message of its own: a quarter of an LLM worker's CPU time. Half a second later is soon enough for
eyes on Flower.
"""

from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

EVENTS_EVERY_S = 0.5


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """The consumer of Castline's workers."""

    def register_with_event_loop(self, hub: Any) -> None:
        """Flush on a timer from now on; Celery calls this for each new connection."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(EVENTS_EVERY_S, self._flush_events)

    def on_send_event_buffered(self) -> None:
        """Leave the buffer to the timer; a full one goes at once."""

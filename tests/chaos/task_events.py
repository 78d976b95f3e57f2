"""Listens to the workers' task events as Flower does: which message was received how often."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from celery import Celery
from celery.events import EventReceiver


@contextlib.contextmanager
def received_messages(redis_url: str) -> Iterator[Counter[str]]:
    """Count how often each message of a task was received, while the block lasts."""
    count: Counter[str] = Counter()
    ready = threading.Event()
    app = Celery("listener", broker=redis_url)

    def note(event: dict[str, Any]) -> None:
        count[event["uuid"]] += 1

    def listen(receiver: EventReceiver) -> None:
        receiver.capture(limit=None, timeout=None, wakeup=False)

    with app.connection() as connection:
        receiver = EventReceiver(connection, handlers={"task-received": note}, app=app)
        receiver.on_consume_ready = lambda *_, **__: ready.set()  # type: ignore[method-assign]
        thread = threading.Thread(target=listen, args=(receiver,), daemon=True)
        thread.start()
        assert ready.wait(20)
        try:
            yield count
        finally:
            receiver.should_stop = True
            thread.join(10)

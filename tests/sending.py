"""Lets a test's own process send messages, as a producer does, to a Redis of the test's choice."""

import contextlib
import os
from collections.abc import Iterator

from tasks.app import app


@contextlib.contextmanager
def sending_to(redis_url: str) -> Iterator[None]:
    """Point Celery's one app at a Redis while the block lasts."""
    before = os.environ.get("CASTLINE_REDIS_URL")
    os.environ["CASTLINE_REDIS_URL"] = redis_url
    try:
        app.conf.broker_url = app.conf.result_backend = redis_url
        forget_connections()
        yield
    finally:
        forget_connections()
        if before is None:
            del os.environ["CASTLINE_REDIS_URL"]
        else:
            os.environ["CASTLINE_REDIS_URL"] = before


def forget_connections() -> None:
    """Close the pools that Celery keeps for its app."""
    if app._pool is not None:
        app._pool.force_close_all()
    app._pool = None
    app.amqp._producer_pool = None

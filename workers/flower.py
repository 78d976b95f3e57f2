"""Flower, as one of our services: loopback unless told otherwise, auth by environment."""

import os

from flower.app import Flower
from tornado.ioloop import PeriodicCallback

from tasks.app import app
from tasks.presence import Presence
from tasks.routing import node_label
from tasks.runtime import start_runtime, stop_runtime
from tasks.settings import Settings

PURGE_OFFLINE_S = 60
INSPECT_EVERY_S = 10


def run_flower(settings: Settings, *, address: str, port: int) -> int:
    """Serve Flower until SIGTERM; returns the exit code. Raises ServiceAwayError."""
    if settings.flower_auth is not None:
        os.environ["FLOWER_BASIC_AUTH"] = settings.flower_auth.get_secret_value()
    runtime = start_runtime(settings, models=False)
    name = f"flower@{node_label(settings.node)}"
    presence = Presence(runtime.deps.redis, settings, name=name)
    inspect_again_and_again()
    runtime.portal.start(presence.beat_for_ever)
    try:
        app.start(
            [
                "flower",
                f"--address={address}",
                f"--port={port}",
                f"--purge_offline_workers={PURGE_OFFLINE_S}",
            ]
        )
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        runtime.portal.call(presence.leave)
        stop_runtime()
    return 0


def inspect_again_and_again() -> None:
    """Have Flower ask the workers for their queues for as long as it runs.

    Flower 2.2 asks once, at its start, and so never shows the queue of a GPU worker that came later
    on its broker page.
    """
    start = Flower.start

    def start_and_inspect(self: Flower) -> None:
        PeriodicCallback(self.update_workers, INSPECT_EVERY_S * 1000).start()
        start(self)

    Flower.start = start_and_inspect

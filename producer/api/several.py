"""Runs several processes of the API on one port: a dead one is replaced, all end together.

Each is an instance of its own, as on another machine; the kernel spreads connections over them
(SO_REUSEPORT, of which macOS makes no use).
"""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType

from producer.api.app import create_app
from producer.api.serve import listener, serve
from tasks.settings import load_settings

PAUSE_S = 1.0
SPAWN = multiprocessing.get_context("spawn")  # a fork would share connections


def serve_several(count: int, *, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve with so many processes until asked to end, then end by the signal that asked.

    Raises BadInputError for an address that cannot be listened on.
    """
    with listener(host, port) as probe:  # a shared port would be shared with strangers too
        port = probe.getsockname()[1]
    sockets = [listener(host, port, shared=True) for _ in range(count)]
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    family = [begun(listening) for listening in sockets]
    ready(port)
    while not asked:
        connection.wait([process.sentinel for process in family], PAUSE_S)
        for place, process in enumerate(family):
            if not asked and not process.is_alive():
                family[place] = begun(sockets[place])
    for process in family:
        process.terminate()
    for process in family:
        process.join()
    signal.signal(asked[0], signal.SIG_DFL)
    signal.raise_signal(asked[0])


def begun(listening: socket.socket) -> BaseProcess:
    """Start one process on a socket."""
    process = SPAWN.Process(target=work, args=(listening,))
    process.start()
    return process


def work(listening: socket.socket) -> None:
    """Be one of the processes."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    settings = load_settings()
    serve(create_app(settings), listening, settings=settings, ready=lambda _: None)


def end_with_parent() -> None:
    """End when the process that would replace this one has died."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

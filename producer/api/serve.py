"""Serves the API with uvicorn until Ctrl-C or SIGTERM; streams end first and go on elsewhere."""

import logging
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from tasks.errors import BadInputError
from tasks.logs import set_up_logging
from tasks.routing import node_label
from tasks.secrets import secrets_of
from tasks.settings import Settings

GRACE_S = 20
BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn, which tells the application when it is asked to end."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell on which port."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End: whoever follows a stream goes on at another instance."""
        site = getattr(self._app.state, "site", None)
        if site is not None:
            site.bells.close()
        super().handle_exit(sig, frame)


def listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Listen at an address; a `shared` port may be listened on more than once.

    Raises BadInputError for an address that is taken or that is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, reuse_port=shared
        )
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise BadInputError(
            f"cannot listen on {host} port {port}: {why}", hint="choose another --port, or --host"
        ) from error
    # asyncio does so only for sockets that name their protocol; without it each answer waits 40 ms
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(
    app: FastAPI, listening: socket.socket, *, settings: Settings, ready: Callable[[int], None]
) -> None:
    """Serve on a socket until asked to end; `ready` is told the port."""
    set_up_logging(
        settings.log_level,
        json_lines=not sys.stderr.isatty(),
        service=f"api-{os.getpid()}@{node_label(settings.node)}",
        secrets=secrets_of(settings),
    )
    for noisy in ("uvicorn.error", "uvicorn.asgi", "kombu", "celery"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        access_log=False,  # the door writes it, without queries
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        loop="asyncio",  # uvloop is too slow at many connections at once: docs/decisions/0030
        http="h11",  # the other parser reads headers without end
        ws="none",
    )
    Server(app, config, ready).run([listening])

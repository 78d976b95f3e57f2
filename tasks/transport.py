"""Kombu's Redis transport with one client for a channel, and with a channel that can reconnect.

A new `redis.Redis` for each acknowledgement, publish and event was an eighth of an LLM worker's
CPU time. A client holds no connection of its own (its pool does), so one serves a channel's
threads. Everything else is kombu's; a test watches that the method is still asked (kombu 5.7).
"""

import logging
from collections.abc import Callable, Container
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from tasks.inspection import fault_of
from tasks.routing import is_work
from tasks.store import bad_messages

log = logging.getLogger(__name__)


class Channel(redis.Channel):  # type: ignore[misc]
    """A channel that keeps one client for as long as its connection pool lives."""

    known_tasks: Callable[[], Container[str]] = staticmethod(tuple)
    _kept: tuple[Any, Any] | None = None

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Remember the address: kombu's connection forgets it when Redis hangs up.

        Without it a worker ends when Redis comes back while it works: its channel looks for a
        `hostname` to reconnect to and finds None.
        """
        known: dict[bool, dict[str, Any]] = self.__dict__.setdefault("_addresses", {})
        if asynchronous not in known:
            known[asynchronous] = super()._connparams(asynchronous=asynchronous)
        return dict(known[asynchronous])

    def _brpop_read(self, **options: Any) -> bool:
        """Hand on what came from a queue; what is no message of ours goes into quarantine.

        kombu's own method parses first and asks later. Raises Empty when nothing came.
        """
        try:
            connection = self.client.connection
            try:
                arrived = self.client.parse_response(connection, "BRPOP", **options)
            except self.connection_errors:
                connection.disconnect()  # the next turn of the loop connects again
                raise
            if not arrived:
                raise Empty
            queue = bytes_to_str(arrived[0]).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            if fault := self.fault_in(queue, arrived[1]):
                self.quarantine(queue, arrived[1], fault)
            else:
                self.connection._deliver(loads(bytes_to_str(arrived[1])), queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def fault_in(self, queue: str, raw: bytes) -> str:
        """Say what is wrong with a message of one of our queues; others are not ours to judge."""
        return fault_of(raw, self.known_tasks()) if is_work(queue) else ""

    def quarantine(self, queue: str, raw: bytes, fault: str) -> None:
        """Keep a message that nobody can do, and go on."""
        with self.conn_or_acquire() as client:
            kept = bad_messages.keep(client, queue, raw, fault)
        log.warning("message %s of %s is in quarantine: %s", kept, queue, fault)

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        pool = self.pool
        if self._kept is None or self._kept[0] is not pool:
            self._kept = (pool, super()._create_client())
        return self._kept[1]


class Transport(redis.Transport):  # type: ignore[misc]
    """The transport of `redis://` and `rediss://` addresses in Castline's processes."""

    Channel = Channel


def install(known_tasks: Callable[[], Container[str]]) -> None:
    """Make kombu use this transport for its Redis addresses, in this process.

    `known_tasks` names the tasks that this process can do.
    """
    Channel.known_tasks = staticmethod(known_tasks)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"

"""Kombu's Redis transport with one client for a channel, and with a channel that can reconnect.

A new `redis.Redis` for each acknowledgement, publish and event was an eighth of an LLM worker's
CPU time. A client holds no connection of its own (its pool does), so one serves a channel's
threads. Everything else is kombu's; a test watches that the method is still asked (kombu 5.7).
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):  # type: ignore[misc]
    """A channel that keeps one client for as long as its connection pool lives."""

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


def install() -> None:
    """Make kombu use this transport for its Redis addresses, in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"

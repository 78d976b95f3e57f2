"""Connections to Redis, with the timeouts that a dead network needs.

`TextRedis` is a client that decodes responses. It is typed as Any because redis-py's annotations
say `bytes | str | …` for every answer whatever the client decodes.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio import UnixDomainSocketConnection as UnixConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.errors import ServiceAwayError

TextRedis = Any

CONNECTIONS = 32
POOL_WAIT_S = 30


class Cancellable:
    """Ends with a cancellation that comes while a command is sent, whenever it comes.

    redis-py (8.1) sends through asyncio.wait_for, which up to Python 3.11 forgets a cancellation
    that comes in the moment in which the sending ends: the task goes on, and whoever cancelled it
    waits for ever.
    """

    async def send_packed_command(self, *arguments: Any, **named: Any) -> None:
        """Send a command. Raises what redis-py raises."""
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        await super().send_packed_command(*arguments, **named)  # type: ignore[misc]
        if task is not None and task.cancelling() > before:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]  # nobody reads the answer
            raise asyncio.CancelledError


class CancellableTcp(Cancellable, Connection):
    """Over TCP."""


class CancellableTls(Cancellable, SSLConnection):
    """Over TLS."""


class CancellableUnix(Cancellable, UnixConnection):
    """Over a Unix socket."""


CANCELLABLE: dict[type, type] = {
    Connection: CancellableTcp,
    SSLConnection: CancellableTls,
    UnixConnection: CancellableUnix,
}


def connect(url: str, *, retries: int = 3) -> TextRedis:
    """Open a lazy connection pool that decodes responses; nothing is sent yet.

    Hundreds of coroutines share few connections: when all are busy the next one waits, where
    redis-py's ordinary pool raises MaxConnectionsError at its hundredth.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=POOL_WAIT_S,
        decode_responses=True,
        socket_timeout=30,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    pool.connection_class = CANCELLABLE[pool.connection_class]
    return Redis.from_pool(pool)


def place_of(url: str) -> str:
    """Name a Redis by host and port, never by user or password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


async def check(url: str) -> None:
    """Ask Redis for a sign of life.

    Raises ServiceAwayError that names the host and what is wrong: away, or the password refused.
    """
    redis = connect(url, retries=0)
    try:
        await redis.ping()
    except AuthenticationError as error:
        raise ServiceAwayError(
            f"Redis at {place_of(url)} refuses the password",
            hint="correct the user and password in CASTLINE_REDIS_URL",
        ) from error
    except (RedisError, OSError) as error:
        raise ServiceAwayError(
            f"Redis at {place_of(url)} is away ({type(error).__name__})",
            hint="start it with `castline up --detach`, or correct CASTLINE_REDIS_URL",
        ) from error
    finally:
        await redis.aclose()

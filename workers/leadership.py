"""One leader in the cluster for one duty: a lease in Redis that its holder renews."""

import contextlib

from redis.exceptions import RedisError

from tasks.connection import TextRedis

TAKE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
RESIGN = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class Leadership:
    """The lease under `key`; `name` tells one candidate from another."""

    def __init__(self, redis: TextRedis, key: str, *, name: str, lease_ms: int) -> None:
        self._redis = redis
        self._key = key
        self._name = name
        self._lease_ms = lease_ms

    async def take(self) -> bool:
        """Take or keep the lease; False while another holds it. Raises RedisError, OSError."""
        return bool(await self._redis.eval(TAKE, 1, self._key, self._name, self._lease_ms))

    async def resign(self) -> None:
        """Let another lead at once; a Redis that is away lets the lease run out instead."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.eval(RESIGN, 1, self._key, self._name)

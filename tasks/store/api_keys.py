"""The keys of the HTTP API on one Redis: made, listed, revoked, and judged at every request.

A token is shown once, when it is made; here is its digest. Who asks for what is `producer.api`'s.
"""

import hashlib
import re
import secrets
from functools import lru_cache
from importlib.resources import files

from tasks.connection import TextRedis
from tasks.errors import BadInputError
from tasks.pipelining import Pipelining, Script
from tasks.schemas.api_keys import ApiKey, Verdict
from tasks.store import keys

BURST_S = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
TOKEN = re.compile(r"^castline_([a-z0-9]{10})_([A-Za-z0-9_-]{43})$")


@lru_cache
def source() -> str:
    """Read the script."""
    return files("tasks.store").joinpath("lua").joinpath("authorize.lua").read_text()


def digest_of(secret: str) -> str:
    """Hash a secret of 256 random bits: nobody guesses it, so a plain hash will do."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeys:
    """All keys; they do not expire with runs."""

    def __init__(self, redis: TextRedis) -> None:
        self._redis = redis
        self._authorize = Script(Pipelining(redis), source())

    async def create(self, name: str, *, rpm: int, runs: int) -> tuple[ApiKey, str]:
        """Make a key; returns it and its token, which is nowhere else."""
        key_id = "".join(secrets.choice(ALPHABET) for _ in range(10))
        secret = secrets.token_urlsafe(32)
        seconds, micros = await self._redis.time()
        key = ApiKey(
            id=key_id,
            name=name,
            digest=digest_of(secret),
            created_ms=int(seconds) * 1000 + int(micros) // 1000,
            rpm=rpm,
            runs=runs,
        )
        await self._redis.hset(keys.API_KEYS, key_id, key.model_dump_json())
        return key, f"castline_{key_id}_{secret}"

    async def every(self) -> list[ApiKey]:
        """List all keys, oldest first, revoked ones too."""
        texts = await self._redis.hvals(keys.API_KEYS)
        found = [ApiKey.model_validate_json(text) for text in texts]
        return sorted(found, key=lambda key: key.created_ms)

    async def revoke(self, key_id: str) -> ApiKey:
        """Let a key open nothing from now on. Raises BadInputError for an unknown one."""
        text = await self._redis.hget(keys.API_KEYS, key_id)
        if text is None:
            raise BadInputError(f"no key {key_id!r}", hint="`castline api-key list` shows them")
        key = ApiKey.model_validate_json(text)
        if key.revoked_ms is None:
            seconds, _ = await self._redis.time()
            key = key.model_copy(update={"revoked_ms": int(seconds) * 1000})
            await self._redis.hset(keys.API_KEYS, key_id, key.model_dump_json())
        return key

    async def judge(self, token: str) -> Verdict:
        """Judge one request by its token, and count it."""
        parts = TOKEN.match(token)
        if parts is None:
            return Verdict(key=None)
        text, early_ms = await self._authorize(
            [keys.API_KEYS, keys.api_rate(parts[1])], [parts[1], digest_of(parts[2]), BURST_S]
        )
        if not text:
            return Verdict(key=None)
        return Verdict(key=ApiKey.model_validate_json(text), wait_s=int(early_ms) / 1000)

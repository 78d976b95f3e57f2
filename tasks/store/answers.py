"""Answers of steps under way that make several calls; they go when the document is stored."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from tasks.connection import TextRedis
from tasks.schemas.completion import Completion
from tasks.store import keys

log = logging.getLogger(__name__)

KEPT_S = 6 * 3600  # longer than any step waits for its next holder


@dataclass(frozen=True)
class StepAnswers:
    """The kept answers of one step, by idempotency key."""

    redis: TextRedis
    run_id: str
    step: str

    async def load(self) -> dict[str, Completion]:
        """Read what an earlier holder of the step has left. Raises redis' errors."""
        found = await self.redis.hgetall(keys.answers(self.run_id, self.step))
        return {key: Completion.model_validate_json(text) for key, text in found.items()}

    async def keep(self, answers: Mapping[str, Completion]) -> None:
        """Keep some more; a Redis that is away costs the safety, not the answer."""
        name = keys.answers(self.run_id, self.step)
        texts = {key: one.model_dump_json() for key, one in answers.items()}
        try:
            async with self.redis.pipeline(transaction=False) as pipe:
                pipe.hset(name, mapping=texts)
                pipe.expire(name, KEPT_S)
                await pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("answers of %s are not kept: %s", self.step, type(error).__name__)

    async def forget(self) -> None:
        """Drop them: the step has ended. What cannot be dropped now expires."""
        try:
            await self.redis.delete(keys.answers(self.run_id, self.step))
        except (RedisError, OSError) as error:
            log.warning("answers of %s are left to expire: %s", self.step, type(error).__name__)

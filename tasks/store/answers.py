"""Answers of steps under way that make several calls; they go when the document is stored."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from tasks.connection import TextRedis
from tasks.schemas.calls import CallUsage
from tasks.schemas.completion import KeptAnswer
from tasks.store import keys

log = logging.getLogger(__name__)

KEPT_S = 6 * 3600  # longer than any step waits for its next holder


@dataclass(frozen=True)
class StepAnswers:
    """The kept answers of one step, by idempotency key."""

    redis: TextRedis
    run_id: str
    step: str

    async def load(self) -> dict[str, KeptAnswer]:
        """Read what an earlier holder of the step has left. Raises redis' errors."""
        found = await self.redis.hgetall(keys.answers(self.run_id, self.step))
        return {key: KeptAnswer.model_validate_json(text) for key, text in found.items()}

    async def note_counted(self) -> None:
        """Note that their cost is counted: who finds them counts them as shared from now on."""
        try:
            found = await self.load()
        except (RedisError, OSError) as error:
            log.warning("answers of %s may count twice: %s", self.step, type(error).__name__)
            return
        if found:
            await self.keep({key: counted(one) for key, one in found.items()})

    async def keep(self, answers: Mapping[str, KeptAnswer]) -> None:
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


def counted(answer: KeptAnswer) -> KeptAnswer:
    """Leave nothing of an answer's cost to be counted."""
    shared = CallUsage(model=answer.completion.model, cached=1)
    return answer.model_copy(update={"usage": shared})

"""`Idempotency-Key`: a request that is sent again makes nothing twice.

The first of equal requests chooses the run's id; whoever comes after a crash goes on under it.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from producer.api.problems import ConflictError, TooManyError
from producer.api.site import Site
from producer.submit import new_run_id
from tasks.errors import (
    BadInputError,
    ConfigurationError,
    NoWorkerError,
    OverloadedError,
    RedisFullError,
)
from tasks.schemas.api_keys import ApiKey

NOTHING_DONE = (
    BadInputError, ConfigurationError, NoWorkerError, OverloadedError, RedisFullError, TooManyError,
)  # fmt: skip

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same body is carried out once, however often it is "
        "sent; remembered for a day.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Making:
    """What to make: the run's id, and whether it has (perhaps) been made already."""

    run_id: str
    again: bool


@contextlib.asynccontextmanager
async def once(
    site: Site, caller: ApiKey, *, key: str | None, what: str, body: BaseModel
) -> AsyncIterator[Making]:
    """Let one of equal requests through; a failure that made nothing may be tried again at once.

    Raises ConflictError while the first is at work, BadInputError when the key came with another
    request.
    """
    if key is None:
        yield Making(run_id=new_run_id(), again=False)
        return
    asked = hashlib.sha256(f"{what} {body.model_dump_json()}".encode()).hexdigest()
    run_id = new_run_id()
    turn = await site.once.take(caller.id, key, asked=asked, run_id=run_id)
    if turn.verdict == "other":
        raise BadInputError(
            "this Idempotency-Key came with another request before", hint="use a new key"
        )
    if turn.verdict == "busy":
        raise ConflictError("the same request is under way", wait_s=turn.wait_s)
    try:
        yield Making(run_id=turn.run_id, again=turn.run_id != run_id)
    except NOTHING_DONE:
        await site.once.drop(caller.id, key)
        raise
    await site.once.done(caller.id, key)


async def made(site: Site, making: Making) -> bool:
    """Whether a run that was perhaps made already is there, wholly submitted."""
    state, _ = await site.deps.reader.tip(making.run_id) if making.again else ("", "")
    return state not in ("", "submitting")

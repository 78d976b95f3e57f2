"""Sends the message of a step that is due; the only place that sends.

The ledger already says that the step is due, so a message that does not arrive is sent again by
upkeep, and one that comes twice finds the step claimed.
"""

import asyncio
from collections.abc import Iterable

from celery.canvas import Signature
from kombu.exceptions import OperationalError

from tasks import canvas
from tasks.app import queue_of
from tasks.errors import ServiceAwayError
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName
from tasks.store.ledger import Ledger


def send_step(run_id: str, step: str, request: Request) -> None:
    """Send one due step that is not a picture; a stage takes the rest of its chain along.

    Raises ServiceAwayError when the broker is away.
    """
    send_steps(run_id, [step], request)


def send_steps(run_id: str, steps: Iterable[str], request: Request, *, group: int = 1) -> None:
    """Send several due steps in few round trips, tweets `group` in a message.

    Raises ServiceAwayError.
    """
    due = list(steps)
    tweets = [step for step in due if StepName.parse(step).is_tweet]
    others = [step for step in due if step not in set(tweets)]
    publish(
        *(message_of(run_id, step, request) for step in others),
        *(
            canvas.tweets_signature(run_id, part, request.priority)
            for part in canvas.chunks(tweets, group)
        ),
    )


def message_of(run_id: str, step: str, request: Request) -> Signature:
    """Build the message of a step that is not a picture."""
    name = StepName.parse(step)
    if name.part in canvas.CHAIN:
        return canvas.persona_chain(run_id, step, request)
    if name.is_tweet:
        return canvas.tweets_signature(run_id, [step], request.priority)
    return canvas.step_signature(run_id, step, request.priority)


def send_tweets(run_id: str, persona: int, request: Request, *, group: int) -> None:
    """Send the chord of a character's tweets. Raises ServiceAwayError when the broker is away."""
    publish(canvas.tweet_chord(run_id, persona, request, group=group))


def send_picture(run_id: str, step: str, queue: str) -> None:
    """Send a picture to the GPU queue it was placed on. Raises ServiceAwayError."""
    publish(canvas.picture_signature(run_id, step).set(queue=queue_of(queue)))


async def send_placed(ledger: Ledger, run_id: str, step: str, *, queue: str = "") -> str:
    """Assign a picture to a GPU queue and ring that GPU's bell if it is silent; returns the queue.

    A GPU worker that is rung draws everything that is assigned to it. "" while no GPU worker is
    live: the picture stays due and upkeep asks again. `queue` wishes for one GPU.
    """
    placed, ring = await ledger.place(run_id, step, queue=queue)
    if ring:
        await asyncio.to_thread(send_picture, run_id, step, placed)
    return placed


def publish(*messages: Signature) -> None:
    """Send canvases. Raises ServiceAwayError when the broker is away."""
    try:
        for message in messages:
            message.apply_async()
    except OperationalError as error:
        raise ServiceAwayError("Redis is away: the message was not sent") from error

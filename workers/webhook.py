"""Tells a web address that alerts began or ended: one POST of JSON for each, tried five times."""

import asyncio
import logging
from datetime import UTC, datetime

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from tasks.observing.alarms import Changes
from tasks.schemas.alerts import Alert

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MOST_ATTEMPTS = 5  # over by about the next minute, whose changes come after


async def tell(url: str, changes: Changes, *, pause_s: float = 1.0) -> None:
    """Send what changed; pauses grow from `pause_s`.

    Of a receiver that stays away the log has the error, not the address.
    """
    told = [("begun", alert) for alert in changes.begun]
    told += [("ended", alert) for alert in changes.ended]
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        await asyncio.gather(*(tell_one(client, url, *one, pause_s=pause_s) for one in told))


async def tell_one(
    client: httpx.AsyncClient, url: str, state: str, alert: Alert, *, pause_s: float
) -> None:
    """Send one alert."""
    since = datetime.fromtimestamp(alert.since_ms / 1000, UTC).isoformat()
    body = {"alert": alert.id, "state": state, "since": since, "text": alert.text}

    async def post() -> None:
        (await client.post(url, json=body)).raise_for_status()

    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential(multiplier=pause_s),
        stop=stop_after_attempt(MOST_ATTEMPTS),
        reraise=True,
    )
    try:
        await retrying(post)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.warning("an alert could not be told: %s", type(error).__name__)


def may_pass(error: BaseException) -> bool:
    """Whether a failure is worth another attempt: no answer, 429 or 5xx."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status == httpx.codes.TOO_MANY_REQUESTS or error.response.is_server_error
    return isinstance(error, httpx.TransportError)

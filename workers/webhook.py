"""Tells a web address that alerts began or ended: one POST of JSON for each, tried once."""

import logging
from datetime import UTC, datetime

import httpx

from tasks.observing.alarms import Changes

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0


async def tell(url: str, changes: Changes) -> None:
    """Send what changed; of a receiver that is away the log has the error, not the address."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        for state, alerts in (("begun", changes.begun), ("ended", changes.ended)):
            for alert in alerts:
                since = datetime.fromtimestamp(alert.since_ms / 1000, UTC).isoformat()
                body = {"alert": alert.id, "state": state, "since": since, "text": alert.text}
                try:
                    (await client.post(url, json=body)).raise_for_status()
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    log.warning("an alert could not be told: %s", type(error).__name__)

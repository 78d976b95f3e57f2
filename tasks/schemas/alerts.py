"""Alerts: what is not as it should be, and from where on it counts as such."""

from dataclasses import dataclass

from tasks.schemas.frozen import Frozen


class Alert(Frozen):
    """One alert: a name that stays while it fires, what is wrong, what to do.

    `since_ms` is when upkeep first saw it (Redis milliseconds); 0 while it has not.
    """

    id: str
    text: str
    hint: str = ""
    since_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class AlertLimits:
    """Where alerts begin: shares from 0 to 1, a factor, minutes."""

    error_rate: float = 0.1
    slower: float = 2.0
    stuck_minutes: int = 5
    cpu: float = 0.8
    memory: float = 0.7

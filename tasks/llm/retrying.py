"""Which failure is tried again, how often and after how long: one policy, for tenacity.

    network error or timeout    3 times, 2^n seconds
    500, 502, 503, 504, 529     5 times, 1 second
    429                        10 times, Retry-After or 1, 2, 3 … seconds
    400, 401, 403, 404          never

Each class counts for itself within one logical call. A pause that ends after the call's deadline is
not begun: the error that asked for it is raised at once. Celery retries none of these.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import RetryCallState

from tasks.errors import BadReplyError, ProviderDownError, RateLimitedError, RefusedCallError

MOST = {"network": 3, "server": 5, "rate": 10}


@dataclass
class RetryPolicy:
    """The retries of one model's attempts; `scale` shortens every pause (tests).

    `left_s` tells how much of the call's time is left; `most` caps the retries of all classes.
    """

    scale: float = 1.0
    left_s: Callable[[], float] = lambda: math.inf
    most: int | None = None
    spent: Counter[str] = field(default_factory=Counter)

    def wants(self, state: RetryCallState) -> bool:
        """Whether this outcome is worth another attempt; counts it if so (tenacity's `retry`)."""
        kind = error_class(error_of(state))
        if kind is None:
            return False
        self.spent[kind] += 1
        if self.most is not None and self.spent.total() > self.most:
            return False
        return self.spent[kind] <= MOST[kind] and self.pause_s(state) < self.left_s()

    def pause_s(self, state: RetryCallState) -> float:
        """How long to wait before the next attempt (tenacity's `wait`)."""
        error = error_of(state)
        kind = error_class(error)
        if isinstance(error, RateLimitedError):
            over = error.wait_s == 0  # at once, but not ten times at once
            return error.wait_s or (self.spent["rate"] - over) * self.scale
        return self.scale * (2.0 ** (self.spent["network"] - 1) if kind == "network" else 1.0)


def error_of(state: RetryCallState) -> BaseException | None:
    """What an attempt raised."""
    return state.outcome.exception() if state.outcome else None


def error_class(error: BaseException | None) -> str | None:
    """Name the retry class of an error, None when it is never tried again."""
    if isinstance(error, RateLimitedError):
        return "rate"
    if isinstance(error, ProviderDownError):
        return "network" if error.status is None else "server"
    return None


def failure_class(error: BaseException) -> str:
    """Name a failed attempt's class, for counting, whether or not it is tried again."""
    if isinstance(error, RefusedCallError):
        return "refused"
    if isinstance(error, BadReplyError):
        return "reply"
    return error_class(error) or "other"

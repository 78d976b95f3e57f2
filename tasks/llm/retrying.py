"""Which failure is tried again, how often and after how long: one policy, for tenacity.

    network error or timeout    3 times, 2^n seconds
    500, 502, 503, 504, 529     5 times, 1 second
    429                        10 times, Retry-After or 1, 2, 3 … seconds
    400, 401, 403, 404          never

Each class counts for itself within one logical call. Celery retries none of these.
"""

from collections import Counter
from dataclasses import dataclass, field

from tenacity import RetryCallState

from tasks.errors import ProviderDownError, RateLimitedError

MOST = {"network": 3, "server": 5, "rate": 10}


@dataclass
class RetryPolicy:
    """The retries of one logical call; `scale` shortens every pause (tests)."""

    scale: float = 1.0
    spent: Counter[str] = field(default_factory=Counter)

    def wants(self, state: RetryCallState) -> bool:
        """Whether this outcome is worth another attempt; counts it if so (tenacity's `retry`)."""
        error = state.outcome.exception() if state.outcome else None
        kind = error_class(error)
        if kind is None:
            return False
        self.spent[kind] += 1
        return self.spent[kind] <= MOST[kind]

    def pause_s(self, state: RetryCallState) -> float:
        """How long to wait before the next attempt (tenacity's `wait`)."""
        error = state.outcome.exception() if state.outcome else None
        kind = error_class(error)
        if isinstance(error, RateLimitedError):
            return error.wait_s if error.wait_s is not None else self.spent["rate"] * self.scale
        return self.scale * (2.0 ** (self.spent["network"] - 1) if kind == "network" else 1.0)


def error_class(error: BaseException | None) -> str | None:
    """Name the retry class of an error, None when it is never tried again."""
    if isinstance(error, RateLimitedError):
        return "rate"
    if isinstance(error, ProviderDownError):
        return "network" if error.status is None else "server"
    return None

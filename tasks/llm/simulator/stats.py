"""What the simulated provider has seen: the numbers behind `GET /stats`.

Granted means admitted by the limits and not refused by a fault; what happened to the reply
afterwards is counted apart. Requests inside batches are counted under `batches`, their keys and
tokens together with all others.
"""

import math
from collections import Counter, deque
from typing import Any

_KEPT = 200_000  # grants and durations; older ones leave the percentiles and the minute counts
_SECONDS_SHOWN = 600
_MINUTE_S = 60.0


class Stats:
    """Counters of one server since its start or its last reset; times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.in_flight = 0
        self.connections = 0
        self.reset(now)

    def reset(self, now: float) -> None:
        """Start again from nothing, but for what is in flight and connected."""
        self._since = now
        self.granted = 0
        self.answered = 0
        self.max_in_flight = self.in_flight
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.not_strict = 0
        self.without_key = 0
        self.rejected: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self._granted_keys: Counter[str] = Counter()
        self._answered_keys: Counter[str] = Counter()
        self._grants: deque[float] = deque(maxlen=_KEPT)
        self._seconds: deque[float] = deque(maxlen=_KEPT)

    def grant(self, *, key: str, strict: bool, now: float) -> None:
        """A request was admitted."""
        self.granted += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.not_strict += not strict
        self._grants.append(now)
        if key:
            self._granted_keys[key] += 1
        else:
            self.without_key += 1

    def finish(self, *, key: str, seconds: float, prompt: int, completion: int) -> None:
        """An admitted request was answered in full, with so many tokens."""
        self.answered += 1
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self._seconds.append(seconds)
        if key:
            self._answered_keys[key] += 1

    def answer_line(self, *, key: str, strict: bool, prompt: int, completion: int) -> None:
        """A request inside a batch was granted and answered; its rate is nobody's concern."""
        self.batches["calls"] += 1
        self.not_strict += not strict
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self._granted_keys[key] += 1
        self._answered_keys[key] += 1

    def leave(self) -> None:
        """An admitted request ended, whichever way."""
        self.in_flight -= 1

    def shown(self) -> dict[str, Any]:
        """Everything as JSON values; `seconds` are per answered request."""
        return {
            "provider": "castline-simulated",
            "granted": self.granted,
            "answered": self.answered,
            "rejected": {"total": self.rejected.total(), **self.rejected},
            "faults": dict(self.faults),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "duplicate_keys": _repeated(self._granted_keys),
            "answered_twice": _repeated(self._answered_keys),
            "without_key": self.without_key,
            "not_strict": self.not_strict,
            "connections": self.connections,
            "max_granted_in_60_s": _busiest_minute(self._grants),
            "granted_by_second": self._by_second(),
            "batches": dict(self.batches),
            "seconds": _percentiles(self._seconds),
        }

    def _by_second(self) -> dict[str, int]:
        counts = Counter(int(at - self._since) for at in self._grants)
        return {str(second): counts[second] for second in sorted(counts)[-_SECONDS_SHOWN:]}


def _repeated(keys: Counter[str]) -> int:
    return sum(count > 1 for count in keys.values())


def _busiest_minute(grants: deque[float]) -> int:
    window: deque[float] = deque()
    busiest = 0
    for at in grants:
        window.append(at)
        while window[0] <= at - _MINUTE_S:
            window.popleft()
        busiest = max(busiest, len(window))
    return busiest


def _percentiles(seconds: deque[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[math.ceil(share * len(ordered)) - 1], 4)
        for name, share in ranks.items()
    }

"""The error tree; whoever raises one of these has already translated the foreign exception.

CastlineError
├── TransientError            trying again helps; the model client owns the retry
│   ├── RateLimitedError      429: carries wait_s when the provider named one
│   ├── ProviderDownError     5xx, refused or dropped connections, timeouts
│   ├── ProviderOpenError     nothing is sent for now; a fallback helps, or the step is put off
│   ├── DeadlineError         a call's whole time is over; carries how often it was sent
│   ├── QueueFullError        too many callers wait in one client
│   ├── ServiceAwayError      Redis or the blob store; upkeep or the user owns the retry
│   └── OverloadedError       too much is queued for another run; the user owns the retry; exit 69
├── PermanentError            trying the same again does not help
│   ├── BadInputError         what the user gave; exit 2
│   ├── ConfigurationError    settings, keys, unknown providers; exit 2
│   ├── RefusedCallError      400, 401, 403, 404 from the provider
│   ├── BadReplyError         not valid for its schema, even after the re-ask
│   │   ├── TruncatedReplyError   the reply stopped at its token limit
│   │   └── FilteredReplyError    the provider withheld the reply
│   ├── ClientClosedError     the client was closed; also a RuntimeError
│   ├── AsyncOffError         LLM_ASYNC_ENABLED is false; also a RuntimeError
│   └── NoWorkerError         no live worker serves a queue that the run needs; exit 69
├── PendingRepliesError       (tasks.llm.pending) the step waits for the provider's batch
└── StaleLeaseError           somebody else owns the step now; drop the work silently
"""


class CastlineError(Exception):
    """What happened, in one sentence that a user can read.

    `hint` says what to type or change next; empty when there is nothing to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TransientError(CastlineError):
    """Trying again helps."""


class RateLimitedError(TransientError):
    """The provider answered 429."""

    def __init__(self, message: str, *, wait_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.wait_s = wait_s


class ProviderDownError(TransientError):
    """The provider did not answer, or answered 5xx.

    `sent` is False when the request provably never left: no connection was made.
    """

    def __init__(
        self, message: str, *, status: int | None = None, sent: bool = True, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.sent = sent


class ProviderOpenError(TransientError):
    """Nothing is sent for `wait_s` seconds: the provider failed too often (its breaker is open), or
    its `Retry-After` goes beyond the call's time.
    """

    def __init__(self, message: str, *, wait_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.wait_s = wait_s


class DeadlineError(TransientError):
    """A logical call's whole time is over; it left `attempts` times (0: nothing was paid)."""

    def __init__(self, message: str, *, attempts: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.attempts = attempts


class QueueFullError(TransientError):
    """As many callers wait in this client as may wait."""


class ServiceAwayError(TransientError):
    """Redis or the blob store cannot be reached, or refuses us."""


class RedisAwayError(ServiceAwayError):
    """Redis cannot be reached: what a step was about to do, it can do later as well."""


class BlobsAwayError(ServiceAwayError):
    """The blob store is full, away or refuses us: what it was to hold can be made again later."""


class RedisFullError(ServiceAwayError):
    """Redis has no memory left for what was to be written."""


class OverloadedError(TransientError):
    """Too many model calls are queued: the run was not taken, and nothing of it was written.

    `drain_s` is how long the queue will take (None when nobody can say), `retry_after_s` when it is
    worth asking again.
    """

    def __init__(
        self,
        message: str,
        *,
        queued_calls: int,
        drain_s: float | None,
        retry_after_s: float,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.queued_calls = queued_calls
        self.drain_s = drain_s
        self.retry_after_s = retry_after_s


class PermanentError(CastlineError):
    """Trying the same again does not help."""


class BadInputError(PermanentError):
    """The user's input cannot be used."""


class ConfigurationError(PermanentError):
    """A setting is missing or wrong."""


class RefusedCallError(PermanentError):
    """The provider refused the call itself: 400, 401, 403 or 404."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class BadReplyError(PermanentError):
    """The model's reply is not what its schema asks for."""


class TruncatedReplyError(BadReplyError):
    """The model's reply stopped at its token limit."""


class FilteredReplyError(BadReplyError):
    """The provider's content filter withheld the reply, or the model refused to answer."""


class ClientClosedError(PermanentError, RuntimeError):
    """The client was closed: make a new one."""


class AsyncOffError(ConfigurationError, RuntimeError):
    """The asynchronous functions are switched off by LLM_ASYNC_ENABLED."""


class NoWorkerError(PermanentError):
    """No live worker serves a queue that the run needs."""


class NoMemoryError(TransientError):
    """The worker had no memory left for a step; it is not a MemoryError, see `tasks.runtime`."""


class StaleLeaseError(CastlineError):
    """The lease was lost: another worker owns the step now."""

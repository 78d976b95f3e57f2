"""What a dialect is: how a request looks on a provider's wire, and how its answer is read."""

from collections.abc import Mapping
from typing import Any, Protocol

from tasks.presets import Structured
from tasks.schemas.completion import ChatRequest, Completion, StreamEvent


class Dialect(Protocol):
    """One provider family's HTTP language; it holds no state."""

    path: str
    """Where a call is posted, under the provider's base address."""

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Name the caller; no key, no header."""

    def body(self, request: ChatRequest, structured: Structured) -> dict[str, Any]:
        """Build the request's body; the schema goes where this provider takes it."""

    def completion(self, payload: Any, *, asked_model: str, seconds: float = 0.0) -> Completion:
        """Read a good answer's payload, which took so long.

        Raises BadReplyError when it is not a completion.
        """

    def stream_event(self, data: str) -> StreamEvent:
        """Read one server-sent event of a reply that is being written.

        Raises BadReplyError when it is none, ProviderDownError when the provider breaks off.
        """

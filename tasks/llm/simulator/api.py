"""What tells one provider family's API from another, and OpenAI's; the provider behind is one."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from tasks.llm.simulator.bodies import Envelope, error_body
from tasks.llm.simulator.reply import Reply
from tasks.llm.simulator.request import ChatRequest, chat_request


class Enveloped(Protocol):
    """What surrounds one reply."""

    def completion(self, reply: Reply) -> bytes:
        """The whole answer."""

    def chunks(self, reply: Reply, *, usage: bool) -> Iterator[bytes]:
        """The answer as server-sent events."""


class Api(Protocol):
    """One family's way to ask, answer and refuse."""

    overloaded: int
    """The status that says so."""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Read the caller's key."""

    def request(self, body: bytes, headers: Mapping[str, str], *, vision: bool) -> ChatRequest:
        """Read and check a request. Raises BadRequestError."""

    def envelope(self, request: ChatRequest, *, number: str, created: int) -> Enveloped:
        """Surround the reply to a request; `number` is unique."""

    def error(self, status: int, message: str, *, kind: str, code: str) -> bytes:
        """Word an error."""


class OpenAIApi:
    """Chat completions."""

    overloaded = 503

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Read the bearer token."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" else ""

    def request(self, body: bytes, headers: Mapping[str, str], *, vision: bool) -> ChatRequest:
        """Read and check a request. Raises BadRequestError."""
        return chat_request(body, vision=vision)

    def envelope(self, request: ChatRequest, *, number: str, created: int) -> Enveloped:
        """Surround the reply to a request."""
        return Envelope(
            id=f"chatcmpl-{number}",
            created=created,
            model=request.model,
            prompt_tokens=request.prompt_tokens,
            search=request.search,
        )

    def error(self, status: int, message: str, *, kind: str, code: str) -> bytes:
        """Word an error."""
        return error_body(message, kind=kind, code=code)

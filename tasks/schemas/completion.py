"""One model call on the wire, free of any provider's dialect."""

from typing import Any

from tasks.schemas.calls import Message
from tasks.schemas.frozen import Frozen


class ChatRequest(Frozen):
    """What is asked; a schema with its name makes the call a structured one.

    `cache` says whether the reply may be shared with those who ask the same; None leaves it to the
    temperature (0 may). `search` is what the provider is to look up on the web first, "" nothing.
    """

    messages: tuple[Message, ...]
    model: str
    temperature: float
    max_tokens: int
    schema_name: str = ""
    schema_body: dict[str, Any] | None = None
    cache: bool | None = None
    stream: bool = False
    search: str = ""


class Completion(Frozen):
    """What came back: text, why it stopped, the model that wrote it, tokens, seconds.

    `web_results` counts what the provider says it found on the web.
    """

    text: str
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float = 0.0
    attempts: int = 1
    web_results: int = 0


class StreamEvent(Frozen):
    """One event of a reply that is being written; only what the provider named is set.

    `last` says that nothing comes after it.
    """

    text: str = ""
    finish_reason: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last: bool = False

"""The JSON bodies of the OpenAI chat completions API, as the simulated provider fills them."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.llm.simulator.reply import Reply

FINGERPRINT = "castline-simulated"
HTML_PAGE = (
    "<!doctype html><html><head><title>Network login</title></head>"
    "<body><h1>Please sign in to the network</h1></body></html>"
)
_CHUNK_CHARACTERS = 16


class Envelope(NamedTuple):
    """What surrounds a reply: its id, when it was made (Unix seconds), the model that was asked."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    search: str = ""

    def completion(self, reply: Reply) -> bytes:
        """A whole chat completion."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": reply.content, "refusal": None},
            "logprobs": None,
            "finish_reason": reply.finish_reason,
        }
        found = {"web_search": web_results(self.search)} if self.search else {}
        head = self._head("chat.completion")
        return _encoded({**head, "choices": [choice], "usage": self._usage(reply), **found})

    def chunks(self, reply: Reply, *, usage: bool) -> Iterator[bytes]:
        """A streamed chat completion: server-sent events, the last is `[DONE]`."""
        yield self._chunk({"role": "assistant", "content": ""}, None)
        for at in range(0, len(reply.content), _CHUNK_CHARACTERS):
            yield self._chunk({"content": reply.content[at : at + _CHUNK_CHARACTERS]}, None)
        yield self._chunk({}, reply.finish_reason)
        if usage:
            head = self._head("chat.completion.chunk")
            yield _event({**head, "choices": [], "usage": self._usage(reply)})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
        }

    def _chunk(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _usage(self, reply: Reply) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": self.prompt_tokens + reply.completion_tokens,
        }


def web_results(query: str) -> list[dict[str, str]]:
    """What a search found, in BigModel's words: one to five pages that there are not."""
    digest = hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return [
        {
            "title": f"Simulated page {number} on {query[:60]}",
            "content": "A page that the simulated provider made up.",
            "link": f"https://example.org/{digest.hex()}/{number}",
            "media": "simulated",
            "refer": f"ref_{number}",
        }
        for number in range(1, 2 + digest[0] % 5)
    ]


def error_body(message: str, *, kind: str, code: str) -> bytes:
    """An error as the API words it."""
    return _encoded({"error": {"message": message, "type": kind, "param": None, "code": code}})


def model_list(created: int) -> bytes:
    """The models on offer: any name works, one is listed."""
    model = {"id": "simulated", "object": "model", "created": created, "owned_by": "castline"}
    return _encoded({"object": "list", "data": [model]})


def _event(value: Any) -> bytes:
    return b"data: " + _encoded(value) + b"\n\n"


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")

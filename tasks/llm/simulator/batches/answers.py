"""Answers one line of a batch, as the chat endpoint would, but free of the rate limits."""

import json
import time
import uuid
from typing import Any, NamedTuple

from tasks.errors import BadInputError
from tasks.llm.simulator.batches.lines import BatchLine
from tasks.llm.simulator.bodies import Envelope, error_body
from tasks.llm.simulator.faults import Faults
from tasks.llm.simulator.log import GrantedRequest, RequestLog
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.reply import Reply, reply_to, spoiled
from tasks.llm.simulator.request import ChatRequest, chat_request
from tasks.llm.simulator.stats import Stats

_REFUSING = {"429": 429, "5xx": 503, "hang": 500, "drop": 500, "html": 500}


class LineAnswer(NamedTuple):
    """A line of the output file, or of the error file when `good` is false."""

    good: bool
    text: str


class LineAnswers:
    """Answers lines with the provider's faults; counts and logs what is granted.

    A line's custom_id stands for the idempotency key. Faults that a connection would show (`hang`,
    `drop`, `html`) become status 500 here.
    """

    def __init__(
        self, options: SimulatorOptions, stats: Stats, log: RequestLog, faults: Faults
    ) -> None:
        self._options = options
        self._stats = stats
        self._log = log
        self._faults = faults

    def answer(self, line: BatchLine) -> LineAnswer:
        """Answer one line; a refused one costs nothing."""
        key = line.custom_id
        try:
            request = chat_request(json.dumps(line.body).encode(), vision=self._options.vision)
            fault = self._faults.next_for(key)
            self._faults.count(key)
            if fault:
                self._stats.faults[fault] += 1
            if fault in _REFUSING:
                return _refused(line, _REFUSING[fault], f"The request failed ({fault}).")
            reply = spoiled(reply_to(request, seed=self._options.seed), fault)
        except BadInputError as error:
            return _refused(line, 400, str(error))
        self._count(key, request, reply)
        envelope = Envelope(
            id=f"chatcmpl-{uuid.uuid4().hex[:24]}",
            created=int(time.time()),
            model=request.model,
            prompt_tokens=request.prompt_tokens,
        )
        return LineAnswer(True, _line(line, 200, json.loads(envelope.completion(reply))))

    def _count(self, key: str, request: ChatRequest, reply: Reply) -> None:
        self._stats.answer_line(
            key=key,
            strict=request.strict,
            prompt=request.prompt_tokens,
            completion=reply.completion_tokens,
        )
        self._log.write(
            GrantedRequest(
                at=round(time.time(), 4),
                idempotency_key=key,
                model=request.model,
                status=200,
                seconds=0,
                prompt_tokens=request.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                in_flight=0,
            )
        )


def unanswered(line: BatchLine, *, code: str, message: str) -> LineAnswer:
    """A line that its batch never came to."""
    return LineAnswer(
        False,
        json.dumps(
            {
                "id": _line_id(),
                "custom_id": line.custom_id,
                "response": None,
                "error": {"code": code, "message": message},
            }
        ),
    )


def _refused(line: BatchLine, status: int, message: str) -> LineAnswer:
    kind = "invalid_request_error" if status == 400 else "server_error"
    body = json.loads(error_body(message, kind=kind, code=str(status)))
    return LineAnswer(False, _line(line, status, body))


def _line(line: BatchLine, status: int, body: dict[str, Any]) -> str:
    response = {"status_code": status, "request_id": uuid.uuid4().hex, "body": body}
    written = {"id": _line_id(), "custom_id": line.custom_id, "response": response, "error": None}
    return json.dumps(written, ensure_ascii=False)


def _line_id() -> str:
    return f"batch_req_{uuid.uuid4().hex[:24]}"

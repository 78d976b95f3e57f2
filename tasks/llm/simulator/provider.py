"""The simulated provider's HTTP face: routes, admission, delays, and what faults do.

What a reply says is `reply.py`'s business, what is allowed `limits.py`'s, who fails `faults.py`'s;
`server.py` listens.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from tasks.errors import BadInputError
from tasks.llm.simulator.anthropic import AnthropicApi
from tasks.llm.simulator.api import Api, Enveloped, OpenAIApi
from tasks.llm.simulator.batches.answers import LineAnswers
from tasks.llm.simulator.batches.batches import Batches
from tasks.llm.simulator.batches.files import Files
from tasks.llm.simulator.batches.routes import BatchRoutes
from tasks.llm.simulator.bodies import HTML_PAGE, model_list
from tasks.llm.simulator.faults import Faults
from tasks.llm.simulator.limits import Limits, Refusal
from tasks.llm.simulator.log import GrantedRequest, RequestLog
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.reply import Reply, reply_to, spoiled
from tasks.llm.simulator.request import ChatRequest
from tasks.llm.simulator.responses import json_response
from tasks.llm.simulator.schema.document import document_of
from tasks.llm.simulator.stats import Stats

_MAX_BODY_BYTES = 64 * 2**20
_CLIENT_GONE = 499
_DROPPED = 0
_OPENAI = OpenAIApi()
_ANTHROPIC = AnthropicApi()


@dataclass(kw_only=True)
class _Grant:
    """One admitted request on its way; `status` is what it will be logged with."""

    api: Api
    request: ChatRequest
    key: str
    at: float
    started: float
    in_flight: int
    status: int = _CLIENT_GONE
    completion_tokens: int = 0


class SimulatedProvider:
    """One provider: its limits, faults, counters and handlers."""

    def __init__(self, options: SimulatorOptions, log: RequestLog) -> None:
        self._options = options
        self._log = log
        self._jitter = random.Random(options.seed)
        self.stats = Stats(time.monotonic())
        self._limits = Limits(options, time.monotonic)
        self._faults = Faults(options.faults, seed=options.seed)
        files = Files()
        answers = LineAnswers(options, self.stats, log, self._faults)
        self._batches = BatchRoutes(
            files, Batches(options, files, answers, self.stats), self._unauthorised
        )

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/stats", self._stats)
        app.router.add_post("/reset", self._reset)
        self._batches.add_to(app)
        return app

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return self._unauthorised(request) or json_response(model_list(int(time.time())))

    async def _stats(self, _: web.Request) -> web.StreamResponse:
        return json_response(self.stats.shown())

    async def _reset(self, _: web.Request) -> web.StreamResponse:
        self.stats.reset(time.monotonic())
        self._faults.forget()
        self._limits.refill()
        return json_response({"reset": True})

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        return await self._call(http, _OPENAI)

    async def _messages(self, http: web.Request) -> web.StreamResponse:
        return await self._call(http, _ANTHROPIC)

    async def _call(self, http: web.Request, api: Api) -> web.StreamResponse:
        if refusal := self._unauthorised(http, api):
            return refusal
        try:
            request = api.request(await http.read(), http.headers, vision=self._options.vision)
            if request.schema:
                document_of(request.schema)
            written = self._written(request) if self._limits.counts_tokens else None
        except BadInputError as error:
            return self._bad_request(api, error)
        key = http.headers.get("Idempotency-Key", "")
        fault = self._faults.next_for(key or request.serialised)
        if fault == "429" or fault == "5xx":
            return self._refused_by_fault(api, fault, key or request.serialised)
        tokens = request.prompt_tokens + (written.completion_tokens if written else 0)
        if over := self._limits.admit(tokens):
            return self._over_limit(api, over)
        self._faults.count(key or request.serialised)
        with self._granted(api, request, key) as grant:
            try:
                return await self._answer(http, grant, written, fault)
            except BadInputError as error:
                grant.status = 400
                return self._bad_request(api, error)

    @contextlib.contextmanager
    def _granted(self, api: Api, request: ChatRequest, key: str) -> Iterator[_Grant]:
        now = time.monotonic()
        self.stats.grant(key=key, strict=request.strict, now=now)
        grant = _Grant(
            api=api,
            request=request,
            key=key,
            at=time.time(),
            started=now,
            in_flight=self.stats.in_flight,
        )
        try:
            yield grant
        finally:
            self._limits.leave()
            self.stats.leave()
            self._log.write(
                GrantedRequest(
                    at=round(grant.at, 4),
                    idempotency_key=key,
                    model=request.model,
                    status=grant.status,
                    seconds=round(time.monotonic() - now, 4),
                    prompt_tokens=request.prompt_tokens,
                    completion_tokens=grant.completion_tokens,
                    in_flight=grant.in_flight,
                )
            )

    async def _answer(
        self, http: web.Request, grant: _Grant, written: Reply | None, fault: str | None
    ) -> web.StreamResponse:
        if fault:
            self.stats.faults[fault] += 1
        if fault == "hang":
            await asyncio.Event().wait()
        reply = spoiled(written or self._written(grant.request), fault)
        if fault == "html":
            await asyncio.sleep(self._latency_s())
            grant.status = 200
            return web.Response(text=HTML_PAGE, content_type="text/html")
        envelope = grant.api.envelope(
            grant.request, number=uuid.uuid4().hex[:24], created=int(grant.at)
        )
        if fault == "drop":
            return await self._dropped(http, grant, envelope, reply)
        if grant.request.stream:
            return await self._streamed(http, grant, envelope, reply)
        await asyncio.sleep(self._latency_s() + self._writing_s(reply))
        self._finish(grant, reply)
        return json_response(envelope.completion(reply))

    async def _streamed(
        self, http: web.Request, grant: _Grant, envelope: Enveloped, reply: Reply
    ) -> web.StreamResponse:
        response = _event_stream()
        await asyncio.sleep(self._latency_s())
        await response.prepare(http)
        events = list(envelope.chunks(reply, usage=grant.request.stream_usage))
        pause_s = self._writing_s(reply) / len(events)
        for event in events:
            await response.write(event)
            if pause_s:
                await asyncio.sleep(pause_s)
        self._finish(grant, reply)
        await response.write_eof()
        return response

    async def _dropped(
        self, http: web.Request, grant: _Grant, envelope: Enveloped, reply: Reply
    ) -> web.StreamResponse:
        await asyncio.sleep(self._latency_s())
        if grant.request.stream:
            response = _event_stream()
            body = b"".join(envelope.chunks(reply, usage=False))
        else:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            body = envelope.completion(reply)
            response.content_length = len(body)
        await response.prepare(http)
        await response.write(body[: len(body) // 2])
        grant.status = _DROPPED
        if http.transport is not None:
            http.transport.close()
        return response

    def _written(self, request: ChatRequest) -> Reply:
        return reply_to(request, seed=self._options.seed)

    def _finish(self, grant: _Grant, reply: Reply) -> None:
        grant.status = 200
        grant.completion_tokens = reply.completion_tokens
        self.stats.finish(
            key=grant.key,
            seconds=time.monotonic() - grant.started,
            prompt=grant.request.prompt_tokens,
            completion=reply.completion_tokens,
        )

    def _latency_s(self) -> float:
        spread = self._options.jitter
        if not spread:
            return self._options.latency_s
        return self._options.latency_s * self._jitter.uniform(1 - spread, 1 + spread)

    def _writing_s(self, reply: Reply) -> float:
        speed = self._options.tokens_per_s
        return reply.completion_tokens / speed if speed else 0.0

    # --- refusals ------------------------------------------------------------------------------

    def _unauthorised(self, http: web.Request, api: Api = _OPENAI) -> web.Response | None:
        key = self._options.api_key
        if not key or api.key_of(http.headers) == key:
            return None
        return self._refused(
            api,
            401,
            "Incorrect API key provided.",
            kind="invalid_request_error",
            code="invalid_api_key",
        )

    def _bad_request(self, api: Api, error: BadInputError) -> web.Response:
        return self._refused(api, 400, str(error), kind="invalid_request_error", code="bad_request")

    def _refused_by_fault(self, api: Api, fault: str, key: str) -> web.Response:
        self._faults.count(key)
        self.stats.faults[fault] += 1
        if fault == "429":
            return self._over_limit(api, Refusal("fault", self._options.fault_wait_s))
        return self._refused(
            api,
            api.overloaded,
            "The server is overloaded.",
            kind="server_error",
            code="service_unavailable",
        )

    def _over_limit(self, api: Api, refusal: Refusal) -> web.Response:
        wait_s = max(refusal.limit != "fault", -int(-refusal.wait_s // 1))
        response = self._refused(
            api,
            429,
            f"Rate limit reached ({refusal.limit}). Please try again in {wait_s} s.",
            kind="rate_limit_error",
            code="rate_limit_exceeded",
            counted=refusal.limit,
        )
        response.headers["Retry-After"] = str(wait_s)
        return response

    def _refused(
        self, api: Api, status: int, message: str, *, kind: str, code: str, counted: str = ""
    ) -> web.Response:
        self.stats.rejected[counted or str(status)] += 1
        return json_response(api.error(status, message, kind=kind, code=code), status)


def _event_stream() -> web.StreamResponse:
    return web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )

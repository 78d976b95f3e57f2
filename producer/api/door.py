"""The door of the API: who may enter, how often, with how much, for how long; and the access log.

It judges a request before anything of its body is read. The log has the path without its query,
and a key's id, never a token.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from anyio import BrokenResourceError
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer.api import docs_page
from producer.api.problems import problem, problem_of, redis_problem
from producer.api.site import Site
from tasks import measures
from tasks.errors import CastlineError

log = logging.getLogger("castline.api")

OPEN = frozenset({"/health", "/ready", "/openapi.json"}) | docs_page.PATHS
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MIB = 1024 * 1024
BODY_BYTES = MIB // 2
LARGER_BYTES = {"/runs": 48 * MIB, "/analyses": 8 * MIB, "/analyze": 8 * MIB}


@dataclass
class Visit:
    """One request on its way: what is known of it so far."""

    scope: Scope
    receive: Receive
    send: Send
    limit: asyncio.Timeout
    begun_s: float = field(default_factory=time.monotonic)
    status: int = 0
    taken_bytes: int = 0

    async def answer(self, message: Message) -> None:
        """Pass a message of the answer on; an answer that has begun may take its time."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            measures.count(f"http.{self.status // 100}xx")
            measures.observe("http", time.monotonic() - self.begun_s)
            self.limit.reschedule(None)
        await self.send(message)

    async def take(self) -> Message:
        """Pass a part of the body on. Raises HTTPException (413) for more than may come."""
        message = await self.receive()
        self.taken_bytes += len(message.get("body", b""))
        if self.taken_bytes > most_bytes(self.scope):
            raise HTTPException(413, f"at most {most_bytes(self.scope):,} bytes are read")
        return message

    def note(self) -> None:
        """Write the line of the access log."""
        caller = self.scope.get("state", {}).get("caller")
        path = self.scope.get("raw_path") or self.scope["path"].encode()
        log.info(
            "%s %s %s %.1f ms key=%s",
            self.scope["method"],
            path.split(b"?")[0].decode("ascii", "backslashreplace"),
            self.status or "aborted",
            (time.monotonic() - self.begun_s) * 1000,
            caller.id if caller else "-",
            extra=self._run(),
        )

    def _run(self) -> dict[str, str]:
        """Name the caller's own run or session; of somebody else's nothing is noted."""
        run = self.scope.get("path_params", {}).get("run_id", "")
        if not run or not 200 <= self.status < 300:
            return {}
        discusses = self.scope["path"].startswith("/discussions/")
        return {"run": run, "session": run} if discusses else {"run": run}


class Door:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        site: Site = scope["app"].state.site
        limit_s = site.deps.settings.api_timeout_s
        limit = asyncio.timeout(limit_s)
        visit = Visit(scope, receive, send, limit)
        self._inside += 1
        try:
            async with limit:
                refusal = await self._judge(site, scope)
                if refusal is None:
                    await self._app(scope, visit.take, visit.answer)
                else:
                    await refusal(scope, receive, visit.answer)
        except TimeoutError:
            if visit.status or not limit.expired():
                raise
            late = problem(503, f"no answer within {limit_s:.0f} s", kind="timeout", wait_s=5)
            visit.status = late.status_code
            await late(scope, receive, send)
        except ExceptionGroup as error:
            if not visit.status or error.split(BrokenResourceError)[1] is not None:
                raise  # else a follower has gone, and FastAPI (0.165) was just handing it an event
        finally:
            self._inside -= 1
            visit.note()

    async def _judge(self, site: Site, scope: Scope) -> Response | None:
        most = site.deps.settings.api_requests
        if self._inside > most:
            return problem(503, f"{most} requests are under way here", kind="busy", wait_s=1)
        headers = Headers(scope=scope)
        if scope["path"] not in OPEN:
            refusal = await authorized(site, scope, headers.get("authorization", ""))
            if refusal is not None:
                return refusal
        return body_refused(scope, headers) if scope["method"] in WITH_BODY else None


async def authorized(site: Site, scope: Scope, authorization: str) -> Response | None:
    """Judge the key of a request and note its owner; returns the refusal, if it is one."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return problem(401, "a key is needed: Authorization: Bearer castline_…")
    try:
        verdict = await site.api_keys.judge(token.strip())
    except CastlineError as error:
        return problem_of(error)
    except (RedisError, ConnectionError) as error:
        return redis_problem(error)
    if verdict.key is None:
        return problem(401, "this key is unknown or revoked")
    scope.setdefault("state", {})["caller"] = verdict.key
    if verdict.wait_s > 0:
        rate = f"this key may send {verdict.key.rpm} requests a minute"
        return problem(429, rate, kind="rate", wait_s=verdict.wait_s)
    return None


def body_refused(scope: Scope, headers: Headers) -> Response | None:
    """Judge the body that a request announces: its type and its size."""
    length = headers.get("content-length", "")
    if (not length.isdigit() and "transfer-encoding" not in headers) or length == "0":
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return problem(415, "the body must be application/json")
    most = most_bytes(scope)
    if length and int(length) > most:
        return problem(413, f"the body has {int(length):,} bytes; at most {most:,} are read")
    return None


def most_bytes(scope: Scope) -> int:
    """How large a body may be: runs come with pictures, analyses with many topics."""
    return LARGER_BYTES.get(scope["path"], BODY_BYTES)

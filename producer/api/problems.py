"""Every error of the API as `application/problem+json` (RFC 9457): which status, what it says.

No answer repeats what was sent: it may be a prompt or a secret.
"""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tasks.errors import (
    BadInputError,
    CastlineError,
    NoWorkerError,
    OverloadedError,
    RedisFullError,
    ServiceAwayError,
)
from tasks.schemas.frozen import Frozen

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
AWAY_S, FULL_S, NO_WORKER_S = 5, 60, 10
MOST_FIELDS = 50
KINDS = {
    400: "bad-request",
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    409: "in-progress",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
    429: "too-many",
    500: "internal",
}


class FieldProblem(Frozen):
    """What is wrong with one part of a request; `pointer` is a JSON pointer, or a name."""

    pointer: str
    detail: str


class Problem(Frozen):
    """One error; `hint` says what to do next, `errors` names each wrong part of a request."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: tuple[FieldProblem, ...] | None = None
    queued_calls: int | None = None
    drain_s: float | None = None


class NotFoundError(BadInputError):
    """There is no such thing, or it is somebody else's: nobody learns which."""


class ConflictError(BadInputError):
    """The same Idempotency-Key is being worked on."""

    def __init__(self, message: str, *, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class TooManyError(CastlineError):
    """This key asks for more than it may."""

    def __init__(self, message: str, *, wait_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.wait_s = wait_s


class NothingMoreError(Exception):
    """A stream was asked to go on after the end of all events."""


def problem(
    status: int, detail: str, *, kind: str = "", wait_s: float = 0.0, **more: Any
) -> JSONResponse:
    """Build the answer to an error; `wait_s` is when asking again may help."""
    body = Problem(
        type=f"urn:castline:{kind or KINDS.get(status, 'http')}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        **{name: value for name, value in more.items() if value not in ("", None)},
    )
    headers = {"Retry-After": str(max(1, math.ceil(wait_s)))} if wait_s else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="castline"'
    content = body.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: CastlineError) -> JSONResponse:
    """Build the answer to one of our own errors."""
    hint = error.hint
    match error:
        case NotFoundError():
            return problem(404, str(error), hint=hint)
        case ConflictError():
            return problem(409, str(error), wait_s=error.wait_s)
        case TooManyError():
            return problem(429, str(error), hint=hint, wait_s=error.wait_s)
        case OverloadedError():
            return problem(
                429, str(error), kind="overloaded", hint=hint, wait_s=error.retry_after_s,
                queued_calls=error.queued_calls, drain_s=error.drain_s,
            )  # fmt: skip
        case NoWorkerError():
            return problem(503, str(error), kind="no-worker", hint=hint, wait_s=NO_WORKER_S)
        case RedisFullError():
            return problem(503, str(error), kind="full", hint=hint, wait_s=FULL_S)
        case ServiceAwayError():
            return problem(503, str(error), kind="service-away", hint=hint, wait_s=AWAY_S)
        case BadInputError():
            return problem(422, str(error), hint=hint)
        case _:
            return problem(500, str(error), hint=hint)


def redis_problem(error: Exception) -> JSONResponse:
    """Build the answer when Redis does not answer, is full, or refuses what we ask of it."""
    if type(error) is ResponseError:
        log.error("Redis refused a command: %s", str(error).split(" ", 1)[0])
        return problem(500, "something went wrong here; it is in the server's log")
    if isinstance(error, OutOfMemoryError):
        return problem(503, "Redis is full and took nothing more", kind="full", wait_s=FULL_S)
    return problem(
        503, f"Redis is away ({type(error).__name__})", kind="service-away", wait_s=AWAY_S
    )


def invalid(error: RequestValidationError) -> JSONResponse:
    """Build the answer to a request that does not fit the schema."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        at = next(one["loc"][-1] for one in found if one["type"] == "json_invalid")
        return problem(400, f"the body is not JSON: it breaks off at character {at}")
    around = {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    wrong = [one for one in found if one["loc"] not in around]  # a list is blamed for its items too
    fields = [FieldProblem(pointer=pointer(one), detail=one["msg"]) for one in wrong[:MOST_FIELDS]]
    more = f" in {len(wrong):,} places, of which these are the first" if wrong[MOST_FIELDS:] else ""
    return problem(422, f"the request does not fit its schema{more}", errors=tuple(fields))


def pointer(error: Mapping[str, Any]) -> str:
    """Name the wrong part: a JSON pointer into the body, else the parameter's name."""
    first, *rest = (str(part) for part in error["loc"])
    if first != "body":
        return "/".join(rest) or first
    return "#" + "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in rest)


def methods_of(app: FastAPI, request: Request) -> list[str]:
    """Name all methods of a path; the router names those of its first route only."""
    path = getattr(request.scope.get("route"), "path", "")
    return sorted(method.upper() for method in app.openapi()["paths"].get(path, {}))


def install(app: FastAPI) -> None:
    """Answer every error of this application as a problem."""

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, CastlineError)  # noqa: S101  # registered for these
        return problem_of(error)

    async def redis_away(_: Request, error: Exception) -> Response:
        return redis_problem(error)

    async def wrong(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for these
        return invalid(error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # registered for these
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        if methods := methods_of(app, request) if error.status_code == 405 else ():
            answer.headers["Allow"] = ", ".join(methods)
        return answer

    async def nothing_more(*_: object) -> Response:
        return Response(status_code=204)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected %s at %s", type(error).__name__, request.url.path)
        return problem(500, "something went wrong here; it is in the server's log")

    for kind, handler in (
        (CastlineError, ours),
        (RedisError, redis_away),
        (ConnectionError, redis_away),
        (RequestValidationError, wrong),
        (HTTPException, http),
        (NothingMoreError, nothing_more),
        (Exception, unexpected),
    ):
        app.add_exception_handler(kind, handler)

"""Runs over HTTP: ask for one, see how it stands, take what it has made, steer it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from producer import incomplete, redo
from producer.api.bodies import RunBody, order_of
from producer.api.idempotency import IdempotencyKey, Making, made, once
from producer.api.problems import NotFoundError, TooManyError
from producer.api.site import Caller, OwnRun, Site, ThisSite
from producer.orders import Order, placed
from producer.request import left_open
from producer.results import RunResult, picture_of, result_of
from producer.submit import Uploads, submit
from tasks.errors import BadInputError
from tasks.schemas.api_keys import ApiKey
from tasks.schemas.frozen import Frozen
from tasks.schemas.plan import RunPlan
from tasks.schemas.status import RunStatus

ROOM_S = 30.0

router = APIRouter(prefix="/runs", tags=["runs"])


class RunLineBody(Frozen):
    """One run in the list."""

    run_id: str
    kind: str
    state: str
    created_ms: int
    steps: int
    steps_done: int


class RunList(Frozen):
    """Runs, newest first."""

    runs: tuple[RunLineBody, ...]


class Cancelled(Frozen):
    """How many steps a cancellation dropped; a run that was never wholly submitted is `removed`."""

    run_id: str
    cancelled_steps: int
    removed: bool = False


@router.post("", status_code=202)
async def create(
    body: RunBody,
    request: Request,
    response: Response,
    site: ThisSite,
    caller: Caller,
    key: IdempotencyKey = None,
) -> RunStatus:
    """Ask for characters, tweets and pictures; the answer is the run, which goes on by itself."""
    order = await asyncio.to_thread(order_of, body)
    async with once(site, caller, key=key, what="POST /runs", body=body) as making:
        plan, uploads = placed(owned(order, making.run_id, caller), making.run_id)
        await make(site, caller, making, plan, uploads)
    response.headers["Location"] = str(request.url_for("show", run_id=making.run_id).path)
    return await status_of(site, making.run_id)


def owned(order: Order, run_id: str, caller: ApiKey) -> Order:
    """Write the owner, the first day and the seed into an order."""
    fields: dict[str, Any] = {"owner": caller.id, **left_open(run_id, order.draft)}
    return Order(draft=order.draft.model_copy(update=fields), spread=order.spread)


async def make(
    site: Site, caller: ApiKey, making: Making, plan: RunPlan, uploads: Uploads = ()
) -> None:
    """Submit a run unless it is there already; one that was cut short is submitted to its end.

    Raises TooManyError, and what `submit` raises.
    """
    if await made(site, making):
        return
    await take_room(site, caller, making.run_id)
    try:
        await submit(site.deps, plan, uploads=uploads)
    except Exception:
        if await site.deps.reader.tip(making.run_id) == ("", "0-0"):
            await site.owned.forget(caller.id, making.run_id)
        raise


async def take_room(site: Site, caller: ApiKey, run_id: str) -> None:
    """Note whose run it is. Raises TooManyError when the key has as many open as it may."""
    taken, count = await site.owned.take(caller.id, run_id, most=caller.runs)
    if not taken:
        raise TooManyError(
            f"this key has {count} open runs, and no more are allowed",
            hint="wait until one has ended, or cancel one",
            wait_s=ROOM_S,
        )


async def status_of(site: Site, run_id: str) -> RunStatus:
    """Read how a run stands."""
    return incomplete.standing_now(site.deps, await site.deps.reader.snapshot(run_id))


@router.get("")
async def list_all(
    site: ThisSite,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=200, description="How many, newest first.")] = 50,
    skip: Annotated[int, Query(ge=0, le=1_000_000, description="How many to leave out.")] = 0,
) -> RunList:
    """List this key's runs, newest first."""
    ids = await site.owned.newest(caller.id, limit=limit, skip=skip)
    lines = await site.deps.reader.lines(ids)
    return RunList(
        runs=tuple(
            RunLineBody(
                run_id=line.run_id,
                kind=line.kind,
                state=line.state,
                created_ms=line.created_ms,
                steps=line.steps,
                steps_done=line.steps - line.open_steps,
            )
            for line in await incomplete.lines_as_they_stand(site.deps, lines)
        )
    )


@router.get("/{run_id}")
async def show(run_id: OwnRun, site: ThisSite) -> RunStatus:
    """Show how a run stands: counts, calls, tokens, failures."""
    return await status_of(site, run_id)


@router.get("/{run_id}/results")
async def results(run_id: OwnRun, site: ThisSite) -> RunResult:
    """Show what a run has made so far: cards, calendars, tweets, the names of its pictures."""
    snapshot = await site.deps.reader.snapshot(run_id)
    if snapshot.request.analysis is not None:
        raise NotFoundError("an analysis has no characters", hint=f"GET /analyses/{run_id}")
    return await result_of(site.deps, snapshot)


@router.get(
    "/{run_id}/pictures/{picture}",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture, as PNG."}},
)
async def picture(run_id: OwnRun, picture: str, site: ThisSite) -> Response:
    """Fetch one picture of a run by the name that its results give (`p0.i01`, `p0.portrait`)."""
    try:
        data = await picture_of(site.deps, run_id, picture)
    except BadInputError as error:
        raise NotFoundError(str(error), hint=error.hint) from error
    return Response(data, media_type="image/png", headers={"X-Content-Type-Options": "nosniff"})


@router.post("/{run_id}/cancel")
async def cancel(run_id: OwnRun, site: ThisSite) -> Cancelled:
    """Cancel a run: what has not begun is dropped, what is running may finish."""
    if await incomplete.remove(site.deps, run_id):
        return Cancelled(run_id=run_id, cancelled_steps=0, removed=True)
    return Cancelled(run_id=run_id, cancelled_steps=await site.deps.ledger.cancel(run_id))


@router.post("/{run_id}/retry", status_code=202)
async def retry(run_id: OwnRun, site: ThisSite, caller: Caller) -> RunStatus:
    """Make a run's failed and cancelled steps due again; what is done is not paid again."""
    snapshot = await site.deps.reader.snapshot(run_id)
    if snapshot.state == "submitting":
        await incomplete.resubmit(site.deps, snapshot)
        return await status_of(site, run_id)
    while (found := await redo.look(site.deps, run_id)).steps(changed=False):
        await take_room(site, caller, run_id)
        if await redo.carry_out(site.deps, found, changed=False):
            break
    return await status_of(site, run_id)

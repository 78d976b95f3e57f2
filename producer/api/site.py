"""What every request works with: the ledger, keys, lists of owners, and who asks."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Security
from fastapi.security import HTTPBearer
from starlette.requests import Request

from producer.api.bells import Bells
from producer.api.problems import NotFoundError
from tasks.deps import Deps
from tasks.schemas.api_keys import ApiKey
from tasks.settings import Settings
from tasks.store.api_keys import ApiKeys
from tasks.store.once import Once
from tasks.store.owned_runs import OwnedRuns

RUN_ID = re.compile(r"^[0-9a-z-]{1,40}$")

Opener = Callable[[Settings], Awaitable[Deps]]


@dataclass(kw_only=True)
class Site:
    """One instance of the API, on one loop; instances share nothing but Redis and the blobs."""

    deps: Deps
    api_keys: ApiKeys
    owned: OwnedRuns
    once: Once
    bells: Bells
    streams: dict[str, int] = field(default_factory=dict)


def site_on(deps: Deps) -> Site:
    """Wire an instance up."""
    return Site(
        deps=deps,
        api_keys=ApiKeys(deps.redis),
        owned=OwnedRuns(deps.redis, retention_s=deps.settings.retention_s),
        once=Once(deps.redis),
        bells=Bells(deps.reader.newer),
    )


async def this_site(request: Request) -> Site:
    """Find the instance that answers."""
    site: Site = request.app.state.site
    return site


bearer = HTTPBearer(auto_error=False, description="A key from `castline api-key create NAME`.")


async def this_caller(request: Request, _: Annotated[object, Security(bearer)]) -> ApiKey:
    """Find who asks; the door has judged the key before anything of the body was read."""
    caller: ApiKey = request.state.caller
    return caller


ThisSite = Annotated[Site, Depends(this_site)]
Caller = Annotated[ApiKey, Depends(this_caller)]


RunId = Annotated[str, Path(description="Its id.", max_length=200)]


async def own_run(run_id: RunId, site: ThisSite, caller: Caller) -> str:
    """Let a run's owner pass. Raises NotFoundError: somebody else's run is one that is not."""
    if await kind_of(run_id, site, caller) in ("", "discussion"):
        raise NotFoundError("no such run (it may have expired)")
    return run_id


async def own_analysis(run_id: RunId, site: ThisSite, caller: Caller) -> str:
    """Let an analysis' owner pass. Raises NotFoundError, as for runs."""
    if await kind_of(run_id, site, caller) != "analysis":
        raise NotFoundError("no such analysis (it may have expired)")
    return run_id


async def own_session(run_id: RunId, site: ThisSite, caller: Caller) -> str:
    """Let a discussion's owner pass. Raises NotFoundError, as for runs."""
    if await kind_of(run_id, site, caller) != "discussion":
        raise NotFoundError("no such discussion (it may have expired)")
    return run_id


async def kind_of(run_id: str, site: Site, caller: ApiKey) -> str:
    """Name the kind of a caller's own run; "" for anything else."""
    if not RUN_ID.match(run_id):
        return ""
    owner, kind = await site.deps.reader.owner(run_id)
    return kind if owner == caller.id else ""


OwnRun = Annotated[str, Depends(own_run)]
OwnAnalysis = Annotated[str, Depends(own_analysis)]
OwnSession = Annotated[str, Depends(own_session)]

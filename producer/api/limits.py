"""What a key may do, how loaded the cluster is, what each provider allows: read only."""

from fastapi import APIRouter

from producer import admission
from producer.api.site import Caller, ThisSite
from tasks.observing.gates import live_gates
from tasks.schemas.frozen import Frozen
from tasks.schemas.limits import GateState
from tasks.schemas.load import Load

router = APIRouter(tags=["limits"])


class KeyLimits(Frozen):
    """This key's own limits; 0 means none."""

    id: str
    name: str
    rpm: int
    runs: int
    streams: int


class LimitsBody(Frozen):
    """All that holds a request of this key back."""

    key: KeyLimits
    load: Load
    providers: tuple[GateState, ...]


@router.get("/limits")
async def limits(site: ThisSite, caller: Caller) -> LimitsBody:
    """Show this key's limits, the load, and the gates of the providers at work."""
    return LimitsBody(
        key=KeyLimits(
            id=caller.id,
            name=caller.name,
            rpm=caller.rpm,
            runs=caller.runs,
            streams=site.deps.settings.api_streams,
        ),
        load=await admission.look(site.deps),
        providers=tuple(await live_gates(site.deps)),
    )

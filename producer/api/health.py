"""Whether this instance lives, and whether it could do something: for probes and load balancers."""

from fastapi import APIRouter

from producer.api.site import ThisSite
from tasks.observing.services import live_services
from tasks.routing import LLM_QUEUES
from tasks.schemas.frozen import Frozen

router = APIRouter(tags=["health"])


class Health(Frozen):
    """A sign of life."""

    status: str = "ok"


class Readiness(Frozen):
    """Redis answers; `workers` says whether anybody would write."""

    status: str = "ready"
    workers: bool


@router.get("/health")
async def health() -> Health:
    """Say that this process lives; it asks nobody."""
    return Health()


@router.get("/ready")
async def ready(site: ThisSite) -> Readiness:
    """Say that Redis answers (503 when it does not)."""
    services = await live_services(site.deps)
    served = {q for service in services if service.state == "running" for q in service.queues}
    return Readiness(workers=bool(served.intersection(LLM_QUEUES)))

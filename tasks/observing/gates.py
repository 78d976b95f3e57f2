"""How the gates of the live providers stand."""

from tasks.deps import Deps
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.observing.services import live_services
from tasks.schemas.limits import GateState


async def live_gates(deps: Deps) -> list[GateState]:
    """Read the gates of the providers that live workers call."""
    gate = Gate(RedisRules(deps.redis), {})
    known = set(await gate.known())
    called = {service.provider for service in await live_services(deps)}
    return [await gate.state(name) for name in sorted(called & known)]

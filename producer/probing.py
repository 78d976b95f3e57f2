"""Asks configured providers for one cheap call each, to see that address, key and model work.

The calls pass no gate: they are one each, and must work where no Redis does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.errors import CastlineError
from tasks.llm.choosing import configured_names, named_provider, resolve_provider
from tasks.llm.outlet import Outlet
from tasks.llm.providers import Provider
from tasks.schemas.calls import Message
from tasks.schemas.completion import ChatRequest
from tasks.settings import Settings

LONGEST_S = 20.0
ASKED = ChatRequest(
    messages=(Message(role="user", content="Answer with the word ok."),),
    model="",
    temperature=0,
    max_tokens=16,
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What came of one provider's call; `seconds` is 0 when none could be made."""

    name: str
    model: str
    well: bool
    seconds: float = 0.0
    error: str = ""
    hint: str = ""


async def probed(settings: Settings) -> Sequence[Probe]:
    """Call every configured provider once, all at the same time; a failure becomes a probe."""
    names = configured_names(settings) or [""]
    return await asyncio.gather(*(probe(settings, name) for name in names))


async def probe(settings: Settings, name: str) -> Probe:
    """Call one provider; without a name, the one that runs would use."""
    begun = asyncio.get_running_loop().time()
    provider: Provider | None = None
    try:
        provider = named_provider(settings, name) if name else resolve_provider(settings)
        model, seconds = await called(provider)
        return Probe(name=provider.name, model=model, well=True, seconds=round(seconds, 3))
    except CastlineError as error:
        return Probe(
            name=provider.name if provider else name,
            model=provider.model if provider else "",
            well=False,
            seconds=round(asyncio.get_running_loop().time() - begun, 3) if provider else 0.0,
            error=str(error),
            hint=error.hint or away_hint(provider),
        )


async def called(provider: Provider) -> tuple[str, float]:
    """Make the call; returns the model that answered and the seconds it took."""
    outlet = Outlet(replace(provider, timeout_s=min(provider.timeout_s, LONGEST_S)))
    try:
        call = outlet.prepared(ASKED, model=provider.model, key=f"castline-doctor-{provider.name}")
        done = await outlet.send(call)
    finally:
        await outlet.close()
    return done.model, done.seconds


def away_hint(provider: Provider | None) -> str:
    """Say what to look at when a provider's error does not."""
    return f"is {provider.base_url} right, and up?" if provider else ""

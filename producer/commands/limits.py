"""`limits`: what each provider's gate allows, uses and holds back; and how to change it."""

from typing import Annotated

import typer
from rich.table import Table

from producer import session
from producer.commands.options import AsJson
from producer.console import data_console, print_json, reporting, say
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.gate.gate import Gate
from tasks.gate.on_redis import RedisRules
from tasks.observing.services import live_services
from tasks.schemas.limits import GateState

SET = "set"
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[set] [PROVIDER]", help="One provider; none = all.", show_default=False
    ),
]
Slots = Annotated[int | None, typer.Option("--slots", min=1, help="Most calls at once.")]
Rpm = Annotated[int | None, typer.Option("--rpm", min=0, help="Requests a minute; 0 = no limit.")]
Tpm = Annotated[int | None, typer.Option("--tpm", min=0, help="Tokens a minute; 0 = no limit.")]


@reporting
def limits(
    words: Words = None,
    slots: Slots = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset", help="Let the configured limits hold again; end a provider's Retry-After."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show each provider's limits and what is in use; change them for the whole cluster at once."""
    changes = {"slots": slots, "rpm": rpm, "tpm": tpm}
    wanted = any(value is not None for value in changes.values())
    provider = named(words or [], changes=wanted or reset)

    async def show(deps: Deps) -> int:
        gate = Gate(RedisRules(deps.redis), {})
        known = await gate.known()
        names = chosen(provider, known)
        if wanted or reset:
            name = only_one(names)
            if reset:
                await gate.change(name)
            if wanted:
                await gate.change(name, **changes)
        states = [await gate.state(name) for name in names]
        services = await live_services(deps)
        waiting = {
            name: {s.name: s.waiting for s in services if s.provider == name} for name in names
        }
        if as_json:
            lines = [{**s.model_dump(), "waiting": waiting[s.provider]} for s in states]
            print_json({"providers": lines})
        else:
            show_states(states, waiting)
        return 0

    raise typer.Exit(session.run(show))


def named(words: list[str], *, changes: bool) -> str:
    """Read the provider's name, before which `set` may stand. Raises BadInputError."""
    names = words[1:] if words[:1] == [SET] else words
    if len(names) > 1:
        raise BadInputError(
            f"one provider at a time, not {' '.join(names)}", hint="castline limits PROVIDER"
        )
    if words != names and not changes:
        raise BadInputError("what is to be set?", hint="--slots N, --rpm N, --tpm N or --reset")
    return names[0] if names else ""


def chosen(provider: str, known: list[str]) -> list[str]:
    """Choose the providers to show. Raises BadInputError for one that no worker has announced."""
    if not provider:
        return known
    if provider not in known:
        names = ", ".join(known) or "none"
        raise BadInputError(
            f"no worker has announced a provider {provider!r} (known: {names})",
            hint="`castline status` names the providers of the running workers",
        )
    return [provider]


def only_one(names: list[str]) -> str:
    """Find the provider that is to be changed. Raises BadInputError when that is not clear."""
    if len(names) != 1:
        raise BadInputError(
            f"whose limits? (known: {', '.join(names) or 'none'})",
            hint="name one: castline limits PROVIDER --slots 40",
        )
    return names[0]


def show_states(states: list[GateState], waiting: dict[str, dict[str, int]]) -> None:
    """Print one block of lines for each provider."""
    if not states:
        say("No worker has announced a provider yet.")
    for state in states:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column("what")
        table.add_column("value")
        table.add_row("provider", state.provider + (" (limits changed)" if state.changed else ""))
        table.add_row("calls at once", f"{state.slots_in_use} of {slots_text(state)}")
        table.add_row("requests a minute", rate_text(state.rpm, state.requests_in_minute))
        table.add_row("tokens a minute", rate_text(state.tpm, state.tokens_in_minute))
        table.add_row("breaker", breaker_text(state))
        if state.blocked_s:
            table.add_row("stopped by the provider", f"{state.blocked_s:.0f} s more")
        for worker, count in sorted(waiting[state.provider].items()):
            table.add_row(f"waiting in {worker}", str(count))
        data_console.print(table, "")


def slots_text(state: GateState) -> str:
    """Show the slots, and what repeated 429s leave of them."""
    if state.slots_now == state.slots:
        return str(state.slots)
    return f"{state.slots_now} (of {state.slots}; the provider answered 429)"


def rate_text(limit: int, used: int | None) -> str:
    """Show a limit per minute, and what the last minute has taken of it."""
    return "no limit" if used is None else f"{used:,} of {limit:,} in the last one"


def breaker_text(state: GateState) -> str:
    """Show the breaker with what moves it next."""
    if state.breaker == "open":
        return f"open for {state.open_s:.0f} s more, after {state.failures} failures in a row"
    if state.breaker == "half-open":
        return "half-open: one call tries"
    return "closed" + (f", {state.failures} failures in a row" if state.failures else "")

"""`api`: the HTTP API; `api-key create|list|revoke`: who may use it."""

from datetime import datetime
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from producer import session
from producer.commands.options import AsJson
from producer.console import data_console, print_json, reporting, say
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.api_keys import ApiKey
from tasks.settings import load_settings
from tasks.store.api_keys import ApiKeys

api_key = typer.Typer(help="Make, list and revoke keys of the HTTP API.", no_args_is_help=True)


@reporting
def api(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 chooses a free one.")
    ] = 8000,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes that share the port.")
    ] = 1,
) -> None:
    """Serve the HTTP API; any number of instances share one Redis."""
    from producer.api.app import create_app
    from producer.api.serve import listener, serve
    from producer.api.several import serve_several

    settings = load_settings()
    settings.broker_url()
    told = partial(announce, host)
    if workers > 1:
        serve_several(workers, host=host, port=port, ready=told)
        return
    app, listening = create_app(settings), listener(host, port)
    serve(app, listening, settings=settings, ready=told)


def announce(host: str, port: int) -> None:
    """Say where the API is."""
    place = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    say(f"API on {place} (documentation: {place}/docs; keys: castline api-key create NAME)")


@api_key.command("create")
@reporting
def create(
    name: Annotated[str, typer.Argument(help="What it is for; only you read it.")],
    rpm: Annotated[
        int, typer.Option("--rpm", min=0, max=1_000_000, help="Requests a minute; 0 = no limit.")
    ] = 600,
    runs: Annotated[
        int, typer.Option("--runs", min=0, help="Open runs at a time; 0 = no limit.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: it is shown this once, and kept only as a hash."""
    if not name.strip() or len(name) > 100:
        raise BadInputError("a key's name has 1 to 100 characters", hint="say what it is for")

    async def make(deps: Deps) -> int:
        key, token = await ApiKeys(deps.redis).create(name.strip(), rpm=rpm, runs=runs)
        if as_json:
            print_json({**shown(key), "key": token})
        else:
            data_console.print(token, soft_wrap=True)
            say(
                f"Keep it: it is not shown again. To take it back: castline api-key revoke {key.id}"
            )
        return 0

    raise typer.Exit(session.run(make))


@api_key.command("list")
@reporting
def list_all(as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""

    async def show(deps: Deps) -> int:
        found = await ApiKeys(deps.redis).every()
        if as_json:
            print_json({"keys": [shown(key) for key in found]})
        elif found:
            data_console.print(table_of(found))
        else:
            say("There are no keys. Make one with: castline api-key create NAME")
        return 0

    raise typer.Exit(session.run(show))


@api_key.command("revoke")
@reporting
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from the list.")],
    as_json: AsJson = False,
) -> None:
    """Take a key back: it opens nothing from now on; its runs go on."""

    async def take_back(deps: Deps) -> int:
        revoked = await ApiKeys(deps.redis).revoke(key)
        if as_json:
            print_json(shown(revoked))
        else:
            say(f"Key {revoked.id} ({revoked.name}) is revoked; its runs go on.")
        return 0

    raise typer.Exit(session.run(take_back))


def shown(key: ApiKey) -> dict[str, object]:
    """Write a key for a program, without its digest."""
    return key.model_dump(mode="json", exclude={"digest"})


def table_of(found: list[ApiKey]) -> Table:
    """Build the list for a person."""
    table = Table(box=None, pad_edge=False)
    for column in ("id", "name", "made", "requests/min", "open runs", "state"):
        table.add_column(column)
    for key in found:
        made = datetime.fromtimestamp(key.created_ms / 1000).astimezone()
        table.add_row(
            key.id,
            escape(key.name),
            f"{made:%Y-%m-%d %H:%M}",
            str(key.rpm or "no limit"),
            str(key.runs or "no limit"),
            "revoked" if key.revoked_ms else "active",
        )
    return table

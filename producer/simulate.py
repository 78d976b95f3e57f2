"""`castline simulate`: runs the simulated provider until Ctrl-C or SIGTERM."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from producer.console import reporting, say
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import serve


@reporting
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8765,
    latency: Annotated[float, typer.Option(min=0, help="Seconds to the first token.")] = 0.05,
    jitter: Annotated[float, typer.Option(min=0, max=1, help="Share of the latency.")] = 0,
    tokens_per_s: Annotated[float, typer.Option(min=0, help="Writing speed; 0: at once.")] = 0,
    rpm: Annotated[int, typer.Option(min=0, help="Requests a minute; 0: no limit.")] = 0,
    tpm: Annotated[int, typer.Option(min=0, help="Tokens a minute; 0: no limit.")] = 0,
    burst: Annotated[
        int, typer.Option(min=0, help="Requests granted at once; 0: one second's worth.")
    ] = 0,
    window: Annotated[
        bool, typer.Option("--window", help="Count any 60 s instead of a token bucket.")
    ] = False,
    slots: Annotated[int, typer.Option(min=0, help="Calls at once; 0: no limit.")] = 0,
    faults: Annotated[
        str,
        typer.Option(
            help="Shares of failing requests: 429=0.1,5xx=0.1,hang=0.05,badjson=0.05,"
            "truncate=0.05,drop=0.02,html=0.01,empty=0.01"
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same replies.")] = 0,
    log: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Append a JSON line per request here.")
    ] = None,
    api_key: Annotated[str, typer.Option(help="Demand this key.")] = "",
    vision: Annotated[
        bool, typer.Option("--vision/--no-vision", help="Accept pictures in messages.")
    ] = True,
    batch_delay: Annotated[float, typer.Option(min=0, help="Seconds that a batch takes.")] = 1.0,
    batch_max: Annotated[int, typer.Option(min=1, help="Most requests of a batch.")] = 50_000,
    batch_window: Annotated[
        float, typer.Option(min=0.001, help="Seconds after which a batch expires.")
    ] = 86_400.0,
) -> None:
    """Run a simulated provider: an OpenAI-compatible server that needs no model and no key."""
    options = SimulatorOptions(
        host=host,
        port=port,
        latency_s=latency,
        jitter=jitter,
        tokens_per_s=tokens_per_s,
        rpm=rpm,
        tpm=tpm,
        burst=burst,
        limit_mode="window" if window else "bucket",
        slots=slots,
        faults=faults,
        seed=seed,
        log=log,
        api_key=api_key,
        vision=vision,
        batch_delay_s=batch_delay,
        batch_max=batch_max,
        batch_window_s=batch_window,
    )
    asyncio.run(serve(options, ready=lambda bound: _announce(host, bound)))


def _announce(host: str, port: int) -> None:
    say(
        f"simulated provider on http://{host}:{port}/v1 (its replies are made up; "
        f"numbers at http://{host}:{port}/stats; Ctrl-C ends it)"
    )

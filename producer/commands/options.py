"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Detach = Annotated[bool, typer.Option("--detach/--wait", help="Return at once, or wait.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder to write; default castline-out/RUN.")
]
Language = Annotated[str, typer.Option("--language", help="What is written: en or zh.")]
Priority = Annotated[str, typer.Option("--priority", help="interactive or batch.")]
MaxConcurrent = Annotated[
    int | None,
    typer.Option("--max-concurrent", min=1, help="Most model calls of this run at once."),
]
BatchApi = Annotated[
    bool,
    typer.Option(
        "--batch-api",
        help="Send model calls in the provider's batches: cheaper, and up to a day a batch.",
    ),
]
Calendars = Annotated[
    list[Path],
    typer.Option("--calendar", help="Calendar file for every character, or one for each."),
]
RendererOption = Annotated[
    str, typer.Option("--renderer", help="tiny, default, sleep:SECONDS or diffusers:MODEL.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the pictures; 0 = by the run.")]

"""`discuss start|list|show|ask|end`: discussion sessions of several agents."""

import getpass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from producer import discussions, session
from producer.commands.options import AsJson, Detach, Language, Priority
from producer.console import DONE, WITH_FAILURES, data_console, print_json, reporting, say
from producer.discussions import SessionView
from producer.following import Interruption, interruptible
from producer.roles import chosen_agents
from tasks.deps import Deps
from tasks.errors import BadInputError
from tasks.schemas.discussions import Discussion, Ending, SummaryDocument, TurnDocument
from tasks.schemas.plan import Request

discuss = typer.Typer(
    help="Let several agents discuss a topic, each in a role of its own.", no_args_is_help=True
)

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="A session's id.")]
User = Annotated[
    str, typer.Option("--user", help="Whose sessions; others' cannot be seen.", show_default=False)
]
ENDINGS: dict[Ending, str] = {
    "rounds": "after all rounds",
    "consensus": "as all agreed",
    "budget": "as its tokens were spent",
    "time": "as its time was over",
    "ended": "as it was ended",
}


ENDING_NOW = {
    "waiting": "leaves the waiting room; it is cancelled.",
    "running": "ends after the turn under way, with a summary.",
}


def whoami(user: str) -> str:
    """Name the user: the one given, else who is logged in."""
    return user or getpass.getuser()


@discuss.command("start")
@reporting
def start(
    topic: Annotated[str, typer.Option("--topic", help="What is discussed.")],
    role: Annotated[list[str], typer.Option("--role", help="Who takes part, in order.")] = [],
    roles_file: Annotated[
        Path | None, typer.Option("--roles-file", help="TOML with tables \\[roles.NAME].")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Rounds at most.")] = 3,
    order: Annotated[
        str, typer.Option("--order", help="turns: one after another; together: all at once.")
    ] = "turns",
    budget: Annotated[int, typer.Option("--budget", help="Tokens at most; 0 = no limit.")] = 0,
    seconds: Annotated[float, typer.Option("--time", help="Seconds at most; 0 = no limit.")] = 0,
    language: Language = "en",
    priority: Priority = "interactive",
    user: User = "",
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Begin a discussion and show it as it goes."""
    agents = chosen_agents(role, roles_file)
    try:
        discussion = Discussion.model_validate(
            {
                "topic": topic.strip(), "agents": agents, "rounds": rounds, "order": order,
                "budget_tokens": budget, "seconds": seconds, "user": whoami(user),
            }
        )  # fmt: skip
    except ValidationError as error:
        raise BadInputError(wrong(error)) from None
    request = Request(
        kind="discussion", sources=(), language=language, priority=priority, discussion=discussion
    )

    async def begin(deps: Deps) -> int:
        begun = await discussions.start(deps, request)
        say(f"Session {begun.session}{place_text(begun) if detach else ''}")
        if detach:
            if as_json:
                print_json(begun)
            return DONE
        return await follow(deps, begun.session, whoami(user), as_json=as_json)

    raise typer.Exit(session.run(begin))


@discuss.command("list")
@reporting
def list_all(user: User = "", as_json: AsJson = False) -> None:
    """List your sessions, newest first."""

    async def show(deps: Deps) -> int:
        views = await discussions.sessions_of(deps, whoami(user))
        if as_json:
            print_json({"sessions": [view.model_dump(mode="json") for view in views]})
        elif views:
            data_console.print(table_of(views))
        else:
            say("You have no sessions. Begin one with: castline discuss start --topic …")
        return DONE

    raise typer.Exit(session.run(show))


@discuss.command("show")
@reporting
def show_one(
    name: SessionId,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    user: User = "",
    as_json: AsJson = False,
) -> None:
    """Show what was said in a session."""

    async def show(deps: Deps) -> int:
        if follow_it:
            return await follow(deps, name, whoami(user), as_json=as_json)
        seen = await discussions.view(deps, name, user=whoami(user))
        if as_json:
            print_json(seen)
        else:
            show_view(seen)
        return DONE

    raise typer.Exit(session.run(show))


@discuss.command("ask")
@reporting
def ask(
    name: SessionId,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    user: User = "",
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Put a question before all agents; a session that goes on answers it at its end."""

    async def put(deps: Deps) -> int:
        number = await discussions.ask(deps, name, question, user=whoami(user))
        if detach:
            print_json({"session": name, "round": number}) if as_json else say(
                f"It is answered in round {number}: castline discuss show {name} --follow"
            )
            return DONE
        return await follow(deps, name, whoami(user), as_json=as_json, first_round=number)

    raise typer.Exit(session.run(put))


@discuss.command("end")
@reporting
def end(name: SessionId, user: User = "", as_json: AsJson = False) -> None:
    """Bring a session to its end; what was said is summed up."""

    async def stop(deps: Deps) -> int:
        before = await discussions.end(deps, name, user=whoami(user))
        if as_json:
            print_json(await discussions.view(deps, name, user=whoami(user)))
        else:
            say(f"Session {name} {ENDING_NOW.get(before, 'had ended before.')}")
        return DONE

    raise typer.Exit(session.run(stop))


async def follow(deps: Deps, name: str, user: str, *, as_json: bool, first_round: int = 0) -> int:
    """Show a session until it ends; returns the exit code. Interrupted, the session goes on."""
    with interruptible() as interruption:
        await tell_events(deps, name, user, interruption, first_round, quiet=as_json)
        if interruption.stop.is_set():
            say(f"The session goes on. Come back with: castline discuss show {name} --follow")
    seen = await discussions.view(deps, name, user=user)
    if as_json:
        print_json(seen)
    if interruption.code != DONE:
        return interruption.code
    if not as_json:
        tell_failures(seen)
    return DONE if seen.state == "done" else WITH_FAILURES


async def tell_events(
    deps: Deps,
    name: str,
    user: str,
    interruption: Interruption,
    first_round: int,
    *,
    quiet: bool,
) -> None:
    """Print turns as they come, from a round on, until the session has ended."""
    place, told = 0, first_round
    async for event in discussions.events(deps, name, user=user):
        if interruption.stop.is_set():
            return
        if quiet:
            continue
        if event is None:
            place = await tell_place(deps, name, before=place)
        elif event.turn is None:
            tell_summary(event.summary if not first_round else None)
        elif event.turn.round >= first_round:
            tell_question(event.question if event.turn.round > told else "")
            tell_turn(event.turn)
            told = event.turn.round


async def tell_place(deps: Deps, name: str, *, before: int) -> int:
    """Say which place in the waiting room a session has, when it has moved; returns it."""
    place = await discussions.place_of(deps, name)
    if place and place != before:
        say(f"It waits: place {place}")
    return place


def tell_question(question: str) -> None:
    """Print a question from outside, if there is one."""
    if question:
        data_console.print(f"\n[bold]Question[/bold]\n{escape(question)}\n")


def tell_failures(seen: SessionView) -> None:
    """Say why a session has not come to its end with everything."""
    if seen.state == "cancelled":
        say("The session was cancelled.")
    for failure in seen.failures:
        say(failure)


def tell_turn(turn: TurnDocument) -> None:
    """Print what an agent said."""
    if not turn.skipped:
        heading = f"{turn.agent} · round {turn.round}"
        data_console.print(f"[bold]{escape(heading)}[/bold]\n{escape(turn.text)}\n")


def tell_summary(summary: SummaryDocument | None) -> None:
    """Print what came of it, if there is anything."""
    if summary is None:
        return
    why = ENDINGS[summary.ended_by]
    data_console.print(f"[bold]Summary[/bold] (AI-generated), {why}\n{escape(summary.summary)}")
    for label, texts in (("Agreed", summary.agreements), ("Open", summary.disagreements)):
        for text in texts:
            data_console.print(Padding(f"{label}: {escape(text)}", (0, 0, 0, 2)))


def show_view(seen: SessionView) -> None:
    """Print a session whole."""
    place = f", place {seen.position}" if seen.position else ""
    data_console.print(f"[bold]{escape(seen.topic)}[/bold] ({seen.state}{place})\n")
    answers = {question.round for question in seen.questions}
    for turn in seen.turns:
        if turn.round not in answers:
            tell_turn(turn)
    tell_summary(seen.summary)
    for question in seen.questions:
        tell_question(question.question)
        for turn in seen.turns:
            if turn.round == question.round:
                tell_turn(turn)
    tell_failures(seen)


def place_text(seen: SessionView) -> str:
    """Say where in the waiting room a session is, if it is there."""
    return f" waits: place {seen.position}" if seen.position else ""


def table_of(views: list[SessionView]) -> Table:
    """Build the list for a person."""
    table = Table(box=None, pad_edge=False, expand=True)
    for column in ("session", "state", "turns", "tokens"):
        right = column in ("turns", "tokens")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    table.add_column("topic", ratio=1, no_wrap=True, overflow="ellipsis")
    for seen in views:
        spoken = sum(not turn.skipped for turn in seen.turns)
        state = f"{seen.state} {seen.position}" if seen.position else seen.state
        table.add_row(
            seen.session,
            state,
            str(spoken),
            f"{seen.tokens:,}",
            escape(" ".join(seen.topic.split())),
        )
    return table


def wrong(error: ValidationError) -> str:
    """Say which option is wrong and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    names = {"budget_tokens": "--budget", "seconds": "--time", "agents": "--role"}
    key = str(first["loc"][0])
    return f"{names.get(key, '--' + key)}: {first['msg']}"

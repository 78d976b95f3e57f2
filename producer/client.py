"""`Castline` and `AsyncCastline`: what the command line does, for Python programs.

They work on the ledger itself, with the settings that every command reads; over HTTP it is
`producer.api`. A run that was asked for goes on by itself, whatever becomes of the program.
"""

import asyncio
import functools
import getpass
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from producer import analyses, discussions, inputs
from producer.blocking import AnalysisHandle, DiscussionHandle, RunHandle
from producer.handles import AsyncDiscussion, AsyncRun, known_run
from producer.orders import Order, placed
from producer.repeating import AsyncAnalysis, Rounds
from producer.request import (
    build_request,
    check_count,
    checked_personas,
    checked_renderer,
    left_open,
)
from producer.roles import chosen_agents
from producer.submit import new_run_id, submit
from tasks.connection import check
from tasks.deps import Deps, open_deps
from tasks.portal import Portal
from tasks.routing import Priority
from tasks.schemas.discussions import Order as TurnOrder
from tasks.schemas.plan import Language, Request
from tasks.settings import load_settings

Paths = Sequence[Path | str]
P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")


class AsyncCastline:
    """The asynchronous client: `async with AsyncCastline() as castline: …`, on one loop."""

    def __init__(self) -> None:
        self._deps: Deps | None = None
        self._driven: list[Rounds] = []

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect. Raises ServiceAwayError when Redis is away, ConfigurationError."""
        if self._deps is None:
            settings = load_settings()
            await check(settings.broker_url())
            self._deps = await open_deps(settings)

    async def close(self) -> None:
        """Close the connections; what was asked for goes on, but no round begins any more."""
        for driven in self._driven:
            await driven.close()
        if self._deps is not None:
            await self._deps.close()
            self._deps = None

    @property
    def deps(self) -> Deps:
        """What the client works with. Raises RuntimeError when it is not open."""
        if self._deps is None:
            raise RuntimeError("not open: use `async with AsyncCastline() as castline`")
        return self._deps

    async def run(
        self,
        *texts: str,
        briefs: Paths = (),
        pictures: Paths = (),
        cards: Paths = (),
        personas: int | None = None,
        tweets: int = 10,
        calendars: Paths = (),
        images: bool = False,
        language: Language = "en",
        priority: Priority = "interactive",
        max_concurrent: int | None = None,
        batch_api: bool = False,
        renderer: str = "",
        seed: int = 0,
    ) -> AsyncRun:
        """Ask for characters, `tweets` for each (0 = none), and with `images` their pictures.

        `personas` is how many characters in all, by default one for each text, brief, picture and
        card. Raises what `submit` raises, and BadInputError for what cannot be used.
        """
        origins = await asyncio.to_thread(
            inputs.read_origins, paths(briefs), paths(pictures), list(texts), cards=paths(cards)
        )
        if tweets:
            check_count("tweets", tweets)
        spread = inputs.spread(origins, checked_personas(personas))
        draft = build_request(
            "run" if tweets else "persona",
            sources=(),
            tweets=tweets,
            images=images,
            language=language,
            priority=priority,
            max_concurrent=max_concurrent,
            batch_api=batch_api,
            calendars=inputs.read_calendars(paths(calendars), len(spread), tweets),
            renderer=checked_renderer(renderer),
            seed=seed,
        )
        run_id = new_run_id()
        draft = draft.model_copy(update=left_open(run_id, draft))
        plan, uploads = placed(Order(draft=draft, spread=tuple(spread)), run_id)
        await submit(self.deps, plan, uploads=uploads)
        return AsyncRun(self.deps, run_id)

    async def discuss(
        self,
        topic: str,
        *,
        roles: Sequence[str] = (),
        roles_file: Path | str | None = None,
        rounds: int = 3,
        order: TurnOrder = "turns",
        budget_tokens: int = 0,
        seconds: float = 0,
        language: Language = "en",
        priority: Priority = "interactive",
        user: str = "",
    ) -> AsyncDiscussion:
        """Let agents discuss a topic; past the slots it waits for one. `user` is who may see it.

        Raises OverloadedError when the user has as many sessions as one may have, and what
        `submit` raises.
        """
        agents = chosen_agents(roles, Path(roles_file) if roles_file else None)
        whose = user or getpass.getuser()
        request = Request(
            kind="discussion",
            sources=(),
            language=language,
            priority=priority,
            discussion=discussions.checked(
                topic=topic.strip(), agents=agents, rounds=rounds, order=order,
                budget_tokens=budget_tokens, seconds=seconds, user=whose,
            ),
        )  # fmt: skip
        begun = await discussions.start(self.deps, request)
        return AsyncDiscussion(self.deps, begun.session, whose)

    async def analyze(
        self,
        topics: Sequence[str],
        *,
        iterations: int = 1,
        concurrency: int = 4,
        delay_s: float = 0.5,
        timeout_s: float = 120.0,
        max_retries: int = 2,
        batch_size: int = 0,
        chat_model: str = "",
        tool_model: str = "",
        language: Language = "en",
        priority: Priority = "interactive",
    ) -> AsyncAnalysis:
        """Search and analyse topics, in rounds (0 = until it is cancelled).

        Each round is a run; this client begins one after the other, so closing it ends them after
        the present one. Raises what `submit` raises for the first round.
        """
        order = analyses.checked(
            topics,
            analysis={
                "timeout_s": timeout_s, "max_retries": max_retries, "batch_size": batch_size,
                "chat_model": chat_model, "tool_model": tool_model,
            },
            iterations=iterations, delay_s=delay_s, concurrency=concurrency, language=language,
            priority=priority,
        )  # fmt: skip
        driven = Rounds(self.deps, order)
        self._driven = [one for one in self._driven if not one.over] + [driven]
        return AsyncAnalysis(self.deps, await driven.begin(), driven)

    async def get(self, run_id: str) -> AsyncRun:
        """Take a handle on a run by its id. Raises BadInputError for an unknown one."""
        return await known_run(self.deps, run_id)

    async def discussion(self, session: str, *, user: str = "") -> AsyncDiscussion:
        """Take a handle on a discussion by its id. Raises BadInputError when it is not there."""
        whose = user or getpass.getuser()
        await discussions.snapshot_of(self.deps, session, user=whose)
        return AsyncDiscussion(self.deps, session, whose)


def paths(given: Paths) -> list[Path]:
    """Take paths as they are usually given."""
    return [Path(path) for path in given]


def blocking(
    asked: Callable[Concatenate[AsyncCastline, P], Coroutine[Any, Any, A]],
    face: Callable[[Portal, A], B],
) -> Callable[Concatenate["Castline", P], B]:
    """Make the blocking twin of a method: the same parameters, and a handle that blocks."""

    @functools.wraps(asked)
    def wrapped(castline: "Castline", /, *args: P.args, **kwargs: P.kwargs) -> B:
        async def inside() -> A:
            return await asked(castline.inner, *args, **kwargs)

        return face(castline.portal, castline.portal.call(inside))

    return wrapped


class Castline:
    """The blocking client: `with Castline() as castline: …`, from any thread.

    Raises ServiceAwayError when Redis is away, ConfigurationError for wrong settings.
    """

    def __init__(self) -> None:
        self.inner = AsyncCastline()
        self.portal = Portal()
        try:
            self.portal.call(self.inner.open)
        except BaseException:
            self.portal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; what was asked for goes on."""
        self.portal.call(self.inner.close)
        self.portal.close()

    run = blocking(AsyncCastline.run, RunHandle)
    analyze = blocking(AsyncCastline.analyze, AnalysisHandle)
    discuss = blocking(AsyncCastline.discuss, DiscussionHandle)
    get = blocking(AsyncCastline.get, RunHandle)
    discussion = blocking(AsyncCastline.discussion, DiscussionHandle)

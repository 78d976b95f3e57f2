"""Keeps the answers of a step that makes several calls until its document is stored.

A worker that dies between two of them would pay the answered ones again. A step with one call, the
usual one, keeps nothing: it is stored when it is answered. Where answers are kept is the store's
business.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope
from tasks.llm.structured import Completes
from tasks.schemas.completion import ChatRequest, Completion


class Answers(Protocol):
    """The kept answers of one step, by idempotency key."""

    async def load(self) -> Mapping[str, Completion]:
        """Read what an earlier holder of the step has left."""

    async def keep(self, answers: Mapping[str, Completion]) -> None:
        """Keep some more; a Redis that is away costs the safety, not the answer."""


class KeepingCompleter:
    """A completer for one step; the scope's tally says whether somebody has held it before."""

    def __init__(self, completer: Completes, answers: Answers) -> None:
        self._completer = completer
        self._answers = answers
        self._begun = 0
        self._unkept: dict[str, Completion] = {}
        self._loading: asyncio.Future[Mapping[str, Completion]] | None = None

    @property
    def provider(self) -> Provider:
        """Whose models are asked."""
        return self._completer.provider

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, or return its kept answer, counted as shared.

        Raises what the completer raises.
        """
        if scope.tally.resumed and (known := (await self._known(scope)).get(key)) is not None:
            scope.tally.share(known.model)
            scope.tally.web_results += known.web_results
            return known
        self._begun += 1
        await self._keep(scope)
        self._unkept[key] = done = await self._completer.complete(request, key=key, scope=scope)
        await self._keep(scope)
        return done

    async def _known(self, scope: CallScope) -> Mapping[str, Completion]:
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._answers.load())
        known = await self._loading
        scope.tally.kept = scope.tally.kept or bool(known)
        return known

    async def _keep(self, scope: CallScope) -> None:
        """Keep what has been answered, as soon as it is clear that the step needs more."""
        if self._begun > 1 and self._unkept:
            answered, self._unkept = self._unkept, {}
            scope.tally.kept = True
            await self._answers.keep(answered)

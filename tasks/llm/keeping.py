"""Keeps the answers of a step that makes several calls until its document is stored.

A worker that dies between two of them would pay the answered ones again. A step with one call, the
usual one, keeps nothing: it is stored when it is answered. Where answers are kept is the store's
business.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from tasks.llm.providers import Provider
from tasks.llm.scope import CallScope, CallTally
from tasks.llm.structured import Completes
from tasks.schemas.completion import ChatRequest, Completion, KeptAnswer


class Answers(Protocol):
    """The kept answers of one step, by idempotency key."""

    async def load(self) -> Mapping[str, KeptAnswer]:
        """Read what an earlier holder of the step has left."""

    async def keep(self, answers: Mapping[str, KeptAnswer]) -> None:
        """Keep some more; a Redis that is away costs the safety, not the answer."""


class KeepingCompleter:
    """A completer for one step; the scope's tally says whether somebody has held it before."""

    def __init__(self, completer: Completes, answers: Answers) -> None:
        self._completer = completer
        self._answers = answers
        self._begun = 0
        self._unkept: dict[str, tuple[Completion, CallTally]] = {}
        self._loading: asyncio.Future[Mapping[str, KeptAnswer]] | None = None

    @property
    def provider(self) -> Provider:
        """Whose models are asked."""
        return self._completer.provider

    async def complete(self, request: ChatRequest, *, key: str, scope: CallScope) -> Completion:
        """Make one logical call, or return its kept answer; what it cost is counted once.

        Raises what the completer raises.
        """
        tally = scope.tally
        if tally.resumed and (known := (await self._known()).get(key)) is not None:
            tally.pay(known.usage)
            tally.web_results += known.completion.web_results
            return known.completion
        self._begun += 1
        await self._keep()
        own = CallTally()  # what this call costs, to be kept beside its answer
        try:
            done = await self._completer.complete(request, key=key, scope=replace(scope, tally=own))
        finally:
            tally.pay(own)
        tally.web_results += done.web_results
        self._unkept[key] = (done, own)
        await self._keep()
        return done

    async def _known(self) -> Mapping[str, KeptAnswer]:
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._answers.load())
        return await self._loading

    async def _keep(self) -> None:
        """Keep what has been answered, as soon as it is clear that the step needs more."""
        if self._begun > 1 and self._unkept:
            answered, self._unkept = self._unkept, {}
            await self._answers.keep(
                {
                    key: KeptAnswer(completion=done, usage=tally.usage)
                    for key, (done, tally) in answered.items()
                }
            )

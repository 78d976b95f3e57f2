"""Finds the done steps of a run that would come out otherwise now, and what follows them; pure.

A document tells what it was made from. The prompts' versions are those of this code, the models
those of the live workers; who makes the steps due again is `producer.redo`.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.origins import (
    Models,
    calendar_days,
    calendar_origin,
    card_hash,
    card_origin,
    given_calendar,
    picture_origin,
    stage_origin,
    tweet_origin,
)
from tasks.picture_prompts import drawn_from, illustrated
from tasks.schemas.ledger import RunSnapshot, StoredDocument
from tasks.schemas.plan import STAGES as STAGE_NAMES
from tasks.schemas.plan import Request, StepRow
from tasks.schemas.steps import StepName, calendar_step, chain_step
from tasks.stages.registry import STAGES

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Makers:
    """Whom live workers ask: what any of them would make again is not changed."""

    models: frozenset[Models]
    renderers: frozenset[str] = frozenset()


def changed_steps(
    snapshot: RunSnapshot, documents: Mapping[str, StoredDocument], makers: Makers
) -> set[str]:
    """Find the done steps that no live worker would make from the same as they were made from.

    What cannot be judged (its inputs are not there, or nobody live makes it) counts as unchanged.
    """
    origins = Origins(snapshot, {step: stored.document for step, stored in documents.items()})
    changed = set()
    for step, stored in documents.items():
        if snapshot.states.get(step) != "done":
            continue
        possible = set(origins.of(step, makers))
        if possible and stored.made_from not in possible:
            changed.add(step)
    return changed


def followers(snapshot: RunSnapshot, steps: Collection[str]) -> set[str]:
    """Find the settled steps that are made from any of these, directly or not."""
    found, fresh = set(steps), set(steps)
    while fresh:
        fresh = {
            step
            for step, row in snapshot.rows.items()
            if step not in found and fresh.intersection(inputs_of(row))
        }
        found |= fresh
    return found - set(steps)


def inputs_of(row: StepRow) -> tuple[str, ...]:
    """Name the steps that a step is made from; a stage waits for others besides."""
    if row.kind != "stage":
        return row.needs
    part = StepName.parse(row.id).part
    parts = STAGE_NAMES if part == "assemble" else STAGES[part].reads
    return tuple(chain_step(row.persona, read) for read in parts)


class Origins:
    """What each step of one run would be made from now."""

    def __init__(self, snapshot: RunSnapshot, documents: Mapping[str, Document]) -> None:
        self._run_id = snapshot.run_id
        self._request: Request = snapshot.request
        self._documents = documents
        self._card_hashes: dict[int, str] = {}

    @cached_property
    def _days(self) -> tuple[str, ...]:
        return calendar_days(self._request)

    def of(self, step: str, makers: Makers) -> Iterator[str]:
        """Yield what live workers would make a step from, once for each way; none if unknown."""
        name = StepName.parse(step)
        if name.is_picture:
            yield from self._picture(step, makers)
        elif name.part == "assemble":
            yield from self._assembled(name.persona)
        elif name.part in STAGE_NAMES:
            yield from self._stage(name, makers)
        elif name.part == "calendar":
            yield from self._calendar(name.persona, makers)
        elif name.is_tweet:
            yield from self._tweet(name, makers)

    def _contents(self, persona: int, parts: Collection[str]) -> dict[str, Document] | None:
        """Collect a character's documents by part; None when one is missing."""
        found = {part: self._documents.get(chain_step(persona, part)) for part in parts}
        there = {part: document for part, document in found.items() if document is not None}
        return there if len(there) == len(found) else None

    def _card(self, persona: int) -> Document | None:
        given = self._request.sources[persona].card_json
        return (
            dict(json.loads(given))
            if given
            else self._documents.get(chain_step(persona, "assemble"))
        )

    def _stage(self, name: StepName, makers: Makers) -> Iterator[str]:
        contents = self._contents(name.persona, STAGES[name.part].reads)
        for models in makers.models if contents is not None else ():
            yield stage_origin(
                name.part,
                models=models,
                request=self._request,
                persona=name.persona,
                contents=contents or {},
            )

    def _assembled(self, persona: int) -> Iterator[str]:
        contents = self._contents(persona, STAGE_NAMES)
        if contents is not None:
            yield card_origin(run_id=self._run_id, request=self._request, contents=contents)

    def _calendar(self, persona: int, makers: Makers) -> Iterator[str]:
        card, given = self._card(persona), given_calendar(self._request, persona)
        for models in makers.models if card is not None else ():
            yield calendar_origin(
                models=models, request=self._request, given=given, days=self._days, card=card or {}
            )

    def _tweet(self, name: StepName, makers: Makers) -> Iterator[str]:
        card = self._card(name.persona)
        planned = self._documents.get(calendar_step(name.persona))
        if card is None or planned is None:
            return
        if name.persona not in self._card_hashes:
            self._card_hashes[name.persona] = card_hash(card)
        days = planned["calendar"]
        for models in makers.models:
            yield tweet_origin(
                models=models,
                request=self._request,
                card=self._card_hashes[name.persona],
                slot=name.slot,
                day=days[sorted(days)[name.slot - 1]],
            )

    def _picture(self, step: str, makers: Makers) -> Iterator[str]:
        document = self._documents.get(illustrated(step))
        if document is None:
            return
        picture = drawn_from(document, step, self._request)
        renderers = {self._request.renderer} if self._request.renderer else makers.renderers
        for renderer in renderers:
            yield picture_origin(picture, renderer=renderer)

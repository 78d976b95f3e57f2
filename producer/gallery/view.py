"""What the gallery says about a run, as plain values; how it looks is the template's business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from producer.character import Character
from producer.duration import clock_text
from producer.gallery.person import PersonView, person_view
from tasks.schemas.export import RunExport
from tasks.schemas.status import FailureLine, ItemCounts, RunStatus


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure of the run: `value` large, `note` small under it, `bad` when it tells of loss."""

    label: str
    value: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The whole page."""

    run_id: str
    state: str
    kind: str
    created: str
    people: tuple[PersonView, ...]
    facts: tuple[Fact, ...]
    failures: tuple[FailureLine, ...]


def run_view(export: RunExport, people: Sequence[Character], labels: Mapping[str, str]) -> RunView:
    """Say everything that the page says, in the labels' language."""
    return RunView(
        run_id=export.status.run_id,
        state=export.status.state,
        kind=export.kind,
        created=_minute(export.created),
        people=tuple(person_view(person, labels) for person in people),
        facts=(*_counts(export.status, labels), *_costs(export, labels)),
        failures=export.status.failures,
    )


def _counts(status: RunStatus, labels: Mapping[str, str]) -> list[Fact]:
    kinds = {
        "characters": status.personas,
        "tweets": status.tweets,
        "pictures": status.images,
    }
    return [_count(labels[key], counts, labels) for key, counts in kinds.items() if counts.total]


def _count(label: str, counts: ItemCounts, labels: Mapping[str, str]) -> Fact:
    whole = counts.done == counts.total
    return Fact(
        label=label,
        value=f"{counts.done:,}" if whole else f"{counts.done:,} {labels['of']} {counts.total:,}",
        note=f"{counts.failed:,} {labels['failed']}" if counts.failed else "",
        bad=counts.failed > 0,
    )


def _costs(export: RunExport, labels: Mapping[str, str]) -> list[Fact]:
    status, calls, tokens = export.status, export.status.calls, export.status.tokens
    notes = [
        f"{number:,} {labels[key]}"
        for key, number in (("retried", calls.retried), ("cached", calls.cached))
        if number
    ]
    split = f"{tokens.prompt:,} / {tokens.completion:,} {labels['tokens_split']}"
    return [
        Fact(label=labels["calls"], value=f"{calls.made:,}", note=", ".join(notes)),
        Fact(label=labels["tokens"], value=f"{tokens.prompt + tokens.completion:,}", note=split),
        Fact(label=labels["duration"], value=clock_text(status.seconds)),
        Fact(label=labels["provider"], value=export.provider or "–", note=_models(export)),
    ]


def _minute(created: str) -> str:
    """Cut an ISO 8601 time to its minute, in UTC; any other text stays as it is."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M}"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _models(export: RunExport) -> str:
    tweets = (tweet for persona in export.personas for tweet in persona.tweets)
    names = ", ".join(dict.fromkeys(tweet.model for tweet in tweets if tweet.model))
    return "" if names == export.provider else names

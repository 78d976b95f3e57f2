"""Orders: characters that are wanted, from texts, pictures and cards, before they have a run's id.

Where the texts and pictures come from is `producer.inputs`' or `producer.api.bodies`' business.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from producer.inputs import Origin
from producer.plan import plan_run
from producer.submit import Uploads
from tasks.images.intake import portrait_png
from tasks.schemas.plan import Request, RunPlan, Source


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request whose characters are still origins: (origin, its how-manieth, of how many)."""

    draft: Request
    spread: tuple[tuple[Origin, int, int], ...]


def placed(order: Order, run_id: str) -> tuple[RunPlan, Uploads]:
    """Plan an order as a run; returns the plan and the pictures that go with it."""
    sources = tuple(
        source_of(origin, run_id, number, variant, variants)
        for number, (origin, variant, variants) in enumerate(order.spread)
    )
    pictures = pictures_of(sources, order)
    return plan_run(run_id, order.draft.model_copy(update={"sources": sources})), pictures


def source_of(origin: Origin, run_id: str, number: int, variant: int, variants: int) -> Source:
    """Turn an origin into the source of one character."""
    return Source(
        label=origin.label,
        text=origin.text,
        image_blob=f"sources/{run_id}/p{number}.png" if origin.picture else "",
        card_json=origin.card_json,
        variant=variant,
        variants=variants,
    )


def pictures_of(sources: tuple[Source, ...], order: Order) -> Iterable[tuple[str, bytes]]:
    """Yield the pictures as they are stored, with their keys, one at a time."""
    return (
        (source.image_blob, portrait_png(origin.picture))
        for source, (origin, _, _) in zip(sources, order.spread, strict=True)
        if origin.picture is not None
    )

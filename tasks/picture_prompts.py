"""What a picture step draws: the tweet's prompt, or the portrait's, with a seed of its own."""

import hashlib
from collections.abc import Mapping
from typing import Any

from tasks.deps import Deps
from tasks.schemas.documents import VisualDocument
from tasks.schemas.pictures import PictureRequest
from tasks.schemas.plan import Request
from tasks.schemas.steps import StepName, chain_step, tweet_step
from tasks.stages.picture import NEVER, Look, joined, portrait_prompts


def illustrated(step: str) -> str:
    """Name the step whose document a picture is drawn from."""
    name = StepName.parse(step)
    return tweet_step(name.persona, name.slot) if name.slot else chain_step(name.persona, "visual")


async def picture_request(
    deps: Deps, run_id: str, step: str, request: Request
) -> PictureRequest | None:
    """Build the request of a picture; None while what it is drawn from is not there."""
    source = illustrated(step)
    found = await deps.reader.documents(run_id, [source])
    return drawn_from(found[source].document, step, request) if source in found else None


def drawn_from(document: Mapping[str, Any], step: str, request: Request) -> PictureRequest:
    """Build the request of a picture from the document that it illustrates."""
    if StepName.parse(step).slot:
        positive = str(document["image_prompt"])
        negative = str(document.get("negative_prompt") or joined(NEVER))
    else:
        visual = VisualDocument.model_validate(document)
        positive, negative = portrait_prompts(
            Look(
                base=visual.base_prompt,
                portrait=visual.portrait_prompt,
                negative=visual.negative_prompt,
            )
        )
    width, height = request.image_size
    return PictureRequest(
        prompt=positive,
        negative_prompt=negative,
        seed=seed_of(request.seed, step),
        width=width,
        height=height,
    )


def seed_of(run_seed: int, step: str) -> int:
    """Give each picture of a run its own seed, the same each time."""
    digest = hashlib.sha256(f"{run_seed}|{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big")

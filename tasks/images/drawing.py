"""A picture request with the model's own defaults filled in: what to draw, and at which size.

Pure arithmetic: nothing here draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from tasks.errors import BadInputError
from tasks.schemas.pictures import PictureRequest

MIN_SIDE = 16
MAX_SIDE = 4096
MAX_STEPS = 200

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class DrawingDefaults:
    """What a model draws when a request leaves it open; None leaves it to the pipeline itself.

    The model draws `shrink` times smaller than the picture will be, in sides that are multiples
    of `multiple` pixels. `bleed` is the share of each edge that is cut away.
    """

    size: Size | None = None
    steps: int | None = None
    guidance: float | None = None
    shrink: int = 1
    multiple: int = 16
    bleed: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One picture to draw: the model fills `canvas`, which becomes a picture of `size`."""

    request: PictureRequest
    size: Size | None
    canvas: Size | None
    steps: int | None
    guidance: float | None

    @property
    def kind(self) -> tuple[object, ...]:
        """What must be equal for two drawings to share one pipeline call."""
        return (
            self.canvas,
            self.size,
            self.steps,
            self.guidance,
            self.request.lora,
            bool(self.request.negative_prompt),
        )


def drawing(request: PictureRequest, defaults: DrawingDefaults) -> Drawing:
    """Fill in a request. Raises BadInputError for sizes or steps that no model should be given."""
    size = _asked_size(request) or defaults.size
    steps = request.steps or defaults.steps
    if size is not None and not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise BadInputError(
            f"A picture of {size[0]}x{size[1]} pixels cannot be drawn.",
            hint=f"Each side may have {MIN_SIDE} to {MAX_SIDE} pixels.",
        )
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise BadInputError(
            f"A picture cannot be drawn in {steps} steps.",
            hint=f"Ask for 1 to {MAX_STEPS} steps, or 0 for the model's own number.",
        )
    return Drawing(
        request=request,
        size=size,
        canvas=None if size is None else canvas_for(size, defaults),
        steps=steps,
        guidance=defaults.guidance if request.guidance < 0 else request.guidance,
    )


def canvas_for(size: Size, defaults: DrawingDefaults) -> Size:
    """Return the smallest size that the model can draw and that covers `size / shrink`."""
    step = defaults.multiple
    width, height = (max(1, -(-side // (defaults.shrink * step))) * step for side in size)
    return width, height


def finished(image: Image.Image, plan: Drawing, defaults: DrawingDefaults) -> Image.Image:
    """Bring what the model drew to the size that was asked for, cut evenly on all sides."""
    if plan.size is None or image.size == plan.size:
        return image
    return ImageOps.fit(image, plan.size, Image.Resampling.BICUBIC, bleed=defaults.bleed)


def same_kind(plans: Sequence[Drawing]) -> list[list[int]]:
    """Group the positions of drawings that may share a call, in order of first appearance."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, plan in enumerate(plans):
        groups.setdefault(plan.kind, []).append(position)
    return list(groups.values())


def _asked_size(request: PictureRequest) -> Size | None:
    if not request.width and not request.height:
        return None
    return request.width or request.height, request.height or request.width

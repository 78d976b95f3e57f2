"""A renderer that only waits and draws a label: for benchmarks and drills, no model, no torch."""

import colorsys
import random
import time
from collections.abc import Sequence

from PIL import Image, ImageDraw

from tasks.images.drawing import Drawing, DrawingDefaults, drawing
from tasks.images.png import encode_png
from tasks.schemas.pictures import PictureRequest, RenderedPicture

SIZE = (256, 256)
DEFAULTS = DrawingDefaults(size=SIZE, steps=1, guidance=0.0, multiple=1)
LINE_CHARS = 34
MAX_LINES = 12


class SleepRenderer:
    """Takes `seconds` a picture, one after another, as a model without batching would."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.name = f"castline-sleep ({seconds:g} s, no model)"

    def render(self, requests: Sequence[PictureRequest]) -> list[RenderedPicture]:
        """Return labelled pictures in the order asked. Raises BadInputError for absurd sizes."""
        plans = [drawing(request, DEFAULTS) for request in requests]
        return [self._rendered(plan) for plan in plans]

    def close(self) -> None:
        """There is nothing to release."""

    def _rendered(self, plan: Drawing) -> RenderedPicture:
        until = time.monotonic() + self._seconds
        request = plan.request
        image = _labelled(plan.size or SIZE, request)
        details = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "model": self.name,
            "steps": plan.steps,
            "guidance": plan.guidance,
        }
        png = encode_png(image, details)
        time.sleep(max(0.0, until - time.monotonic()))  # drawing the label is part of the time
        return RenderedPicture(
            png=png,
            width=image.width,
            height=image.height,
            model=self.name,
            seed=request.seed,
        )


def _labelled(size: tuple[int, int], request: PictureRequest) -> Image.Image:
    red, green, blue = colorsys.hls_to_rgb(random.Random(request.seed).random(), 0.82, 0.55)
    image = Image.new("RGB", size, (round(red * 255), round(green * 255), round(blue * 255)))
    words = "".join(char if char.isprintable() else " " for char in request.prompt)
    lines = ["placeholder, no model", f"seed {request.seed}", ""]
    lines += [words[at : at + LINE_CHARS] for at in range(0, len(words), LINE_CHARS)]
    ImageDraw.Draw(image).multiline_text(
        (12, 12), "\n".join(lines[:MAX_LINES]), fill=(40, 40, 48), spacing=5
    )
    return image

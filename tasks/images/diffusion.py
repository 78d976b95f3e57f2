"""The renderer that draws with a diffusers pipeline, many pictures in one call.

Each picture has its own generator on the CPU, seeded by its request, so what it shows depends
neither on its neighbours in the batch nor on the GPU that draws it, beyond rounding: kernels sum
in another order for another batch size, which moves a few pixels by one level of 255. On a CPU
one call draws one picture, so there the same request gives the same bytes.
"""

import gc
import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.errors import BadInputError, PermanentError
from tasks.images.attention import choose_attention
from tasks.images.batches import FittingBatches
from tasks.images.drawing import Drawing, DrawingDefaults, drawing, finished, same_kind
from tasks.images.faults import picture_fault
from tasks.images.lora import LoraShelf
from tasks.images.pipelines import libraries, load_pipeline
from tasks.images.png import encode_png
from tasks.images.tiny import TINY_DEFAULTS, TINY_NAME, tiny_folder
from tasks.schemas.pictures import PictureRequest, RenderedPicture

log = logging.getLogger(__name__)

SEEDS = 2**64

# Sharing a call makes the tiny model a fifth faster on one core, and its pictures inexact.
CPU_BATCH = 1
PROBE = ("a lamp", "a lamp on a long wooden table beside an open window")

# Models distilled to few steps draw badly with their pipeline's own defaults; by name,
# from their model cards.
FEW_STEPS: Mapping[str, DrawingDefaults] = {
    "z-image-turbo": DrawingDefaults(size=(1024, 1024), steps=8, guidance=0.0),
    "flux.1-schnell": DrawingDefaults(size=(1024, 1024), steps=4, guidance=0.0),
    "sdxl-turbo": DrawingDefaults(size=(512, 512), steps=4, guidance=0.0),
    "sd-turbo": DrawingDefaults(size=(512, 512), steps=4, guidance=0.0),
}


class DiffusionRenderer:
    """Draws with one loaded pipeline; not to be shared between threads.

    `largest_batch` bounds one pipeline call, None leaves it to the memory.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        defaults: DrawingDefaults,
        largest_batch: int | None = None,
    ) -> None:
        self.name = name
        self._pipeline = pipeline
        self._defaults = defaults
        self._parameters = inspect.signature(pipeline.__call__).parameters
        self._loras = LoraShelf(pipeline)
        self._batches = FittingBatches(free=free_memory, largest=largest_batch)

    def render(self, requests: Sequence[PictureRequest]) -> list[RenderedPicture]:
        """See `Renderer.render`; requests alike in size, steps, guidance and LoRA share a call."""
        plans = [drawing(request, self._defaults) for request in requests]
        finished_at: dict[int, RenderedPicture] = {}
        for positions in same_kind(plans):
            alike = [plans[position] for position in positions]
            self._loras.use(alike[0].request.lora)
            images = self._batches.draw(alike, self._draw, kind=alike[0].canvas)
            for position, image in zip(positions, images, strict=True):
                finished_at[position] = self._rendered(plans[position], image)
        return [finished_at[position] for position in range(len(plans))]

    def close(self) -> None:
        """Drop the pipeline and give its memory back."""
        self._loras = LoraShelf(None)
        self._pipeline = None
        free_memory()

    def _draw(self, batch: Sequence[Drawing]) -> list[Image.Image]:
        try:
            images = self._pipeline(**self._arguments(batch)).images
        except ValueError as error:
            raise BadInputError(
                f"The image model refuses this request: {error}",
                hint="Check the picture's size, steps and guidance.",
            ) from error
        except (RuntimeError, MemoryError) as error:
            raise picture_fault(error) from error
        if len(images) != len(batch):
            raise PermanentError(f"Asked for {len(batch)} pictures, the model drew {len(images)}.")
        return list(images)

    def _arguments(self, batch: Sequence[Drawing]) -> dict[str, Any]:
        import torch

        first = batch[0]
        wanted = {
            "prompt": [plan.request.prompt for plan in batch],
            "generator": [
                torch.Generator("cpu").manual_seed(plan.request.seed % SEEDS) for plan in batch
            ],
            "output_type": "pil",
            "num_inference_steps": first.steps,
            "guidance_scale": first.guidance,
            "width": first.canvas and first.canvas[0],
            "height": first.canvas and first.canvas[1],
        }
        if first.request.negative_prompt and "negative_prompt" in self._parameters:
            wanted["negative_prompt"] = [plan.request.negative_prompt for plan in batch]
        return {key: value for key, value in wanted.items() if value is not None}

    def _rendered(self, plan: Drawing, image: Image.Image) -> RenderedPicture:
        picture = finished(image, plan, self._defaults)
        return RenderedPicture(
            png=encode_png(picture, self._details(plan)),
            width=picture.width,
            height=picture.height,
            model=self.name,
            seed=plan.request.seed,
        )

    def _details(self, plan: Drawing) -> dict[str, object]:
        request = plan.request
        details = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "model": self.name,
            "steps": self._used(plan.steps, "num_inference_steps"),
            "guidance": self._used(plan.guidance, "guidance_scale"),
        }
        return {**details, "lora": request.lora} if request.lora else details

    def _used(self, asked: float | None, parameter: str) -> object:
        if asked is not None:
            return asked
        return self._parameters[parameter].default if parameter in self._parameters else ""


def open_tiny(*, device: str, models_dir: Path) -> DiffusionRenderer:
    """Open the untrained tiny pipeline, built into `models_dir` on first use.

    Takes one CPU thread of this whole process: its layers are too small to share out, and the
    cores are for the other workers.
    """
    torch, _ = libraries()
    torch.set_num_threads(1)
    pipeline = load_pipeline(str(tiny_folder(models_dir)), device=device)
    return DiffusionRenderer(
        pipeline, name=TINY_NAME, defaults=TINY_DEFAULTS, largest_batch=_largest(device)
    )


def open_diffusion(model: str, *, device: str) -> DiffusionRenderer:
    """Open a model from a folder or the hub; its name in the metadata is that name."""
    pipeline = load_pipeline(model, device=device)
    name = Path(model).expanduser().resolve().name if Path(model).is_dir() else model
    if device.startswith("cuda"):
        backend = choose_attention(pipeline, probe=lambda: _probe(pipeline))
        log.info("%s draws with %s attention.", name, backend)
    return DiffusionRenderer(
        pipeline, name=name, defaults=defaults_for(model), largest_batch=_largest(device)
    )


def defaults_for(model: str) -> DrawingDefaults:
    """Return what a model by this name should be asked for; unknown ones decide themselves."""
    for part, defaults in FEW_STEPS.items():
        if part in model.lower():
            return defaults
    return DrawingDefaults()


def _largest(device: str) -> int | None:
    return CPU_BATCH if device == "cpu" else None


def _probe(pipeline: Any) -> None:
    # Prompts of unequal length, because the masks that they need are what backends refuse.
    pipeline(prompt=list(PROBE), width=256, height=256, num_inference_steps=2, guidance_scale=0.0)


def free_memory() -> None:
    """Return cached memory to the device, as far as nothing uses it any more."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

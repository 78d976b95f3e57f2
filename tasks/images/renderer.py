"""What draws pictures, and how one is opened from a setting such as `tiny` or `sleep:0.5`.

Importing this costs nothing: torch and diffusers are imported when a model is opened.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tasks.errors import ConfigurationError
from tasks.images.sleeper import SleepRenderer
from tasks.schemas.pictures import PictureRequest, RenderedPicture

# 6 billion weights, Apache-2.0, 16 GB in bfloat16, 8 steps without guidance.
DEFAULT_MODEL = "Tongyi-MAI/Z-Image-Turbo"

ALLOWED = "tiny, default, sleep:SECONDS, or diffusers:FOLDER or diffusers:OWNER/NAME"
DEVICE = re.compile(r"cpu|cuda(:\d+)?")


class Renderer(Protocol):
    """Draws pictures; one per process, used by one thread at a time."""

    @property
    def name(self) -> str:
        """What goes into the pictures' metadata as their model."""
        ...

    def render(self, requests: Sequence[PictureRequest]) -> list[RenderedPicture]:
        """Draw all requests and return them in the same order; equal seeds, equal pictures.

        Raises PictureMemoryError or GpuLostError (a new process helps), BadInputError for a
        request that cannot be drawn, PermanentError when the model itself fails on it.
        """
        ...

    def close(self) -> None:
        """Give the device's memory back; the renderer cannot be used afterwards."""
        ...


@dataclass(frozen=True, kw_only=True)
class RendererSpec:
    """A renderer setting, taken apart: `model` for diffusers, `seconds` for sleep."""

    kind: Literal["tiny", "default", "sleep", "diffusers"]
    model: str = ""
    seconds: float = 0.0


def renderer_spec(spec: str) -> RendererSpec:
    """Take a setting apart without opening anything. Raises ConfigurationError."""
    kind, _, value = spec.strip().partition(":")
    value = value.strip()
    if kind == "tiny" and not value:
        return RendererSpec(kind="tiny")
    if kind == "default" and not value:
        return RendererSpec(kind="default", model=DEFAULT_MODEL)
    if kind == "sleep" and (seconds := _seconds(value)) is not None:
        return RendererSpec(kind="sleep", seconds=seconds)
    if kind == "diffusers" and value:
        return RendererSpec(kind="diffusers", model=value)
    raise ConfigurationError(f"Unknown image renderer {spec!r}.", hint=f"Allowed: {ALLOWED}.")


def open_renderer(spec: str, *, device: str, models_dir: Path) -> Renderer:
    """Open a renderer on `cpu`, `cuda` or `cuda:N`; loading a model takes seconds to minutes.

    `models_dir` is where the tiny model is built on its first use. Raises ConfigurationError:
    an unknown spec or device, no such folder, a hub that does not answer, missing packages.
    """
    wanted = renderer_spec(spec)
    if not DEVICE.fullmatch(device):
        raise ConfigurationError(
            f"Unknown image device {device!r}.", hint="Use cpu, cuda or cuda:0 (1, 2 …)."
        )
    if wanted.kind == "sleep":
        return SleepRenderer(wanted.seconds)
    if wanted.kind == "default" and device == "cpu":
        raise ConfigurationError(
            f"The default image model {DEFAULT_MODEL} needs a CUDA GPU; this device is the CPU.",
            hint="Use the renderer 'tiny' for a trial without a GPU, or start a GPU worker.",
        )
    return _open_model(wanted, device=device, models_dir=models_dir)


def _open_model(wanted: RendererSpec, *, device: str, models_dir: Path) -> Renderer:
    from tasks.images.diffusion import open_diffusion, open_tiny

    if wanted.kind == "tiny":
        return open_tiny(device=device, models_dir=models_dir)
    return open_diffusion(wanted.model, device=device)


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None

"""What a renderer is asked for, and what it hands back."""

from tasks.schemas.frozen import Frozen


class PictureRequest(Frozen):
    """One picture: sizes in pixels, `steps` denoising steps, `seed` reproduces it exactly.

    A value of 0 for width, height or steps means the renderer's own default; `guidance` of
    -1 likewise.
    """

    prompt: str
    negative_prompt: str = ""
    seed: int
    width: int = 0
    height: int = 0
    steps: int = 0
    guidance: float = -1.0
    lora: str = ""


class RenderedPicture(Frozen):
    """A finished PNG with its metadata inside, and what made it."""

    png: bytes
    width: int
    height: int
    model: str
    seed: int

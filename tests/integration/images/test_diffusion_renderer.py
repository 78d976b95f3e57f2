"""The diffusers renderer with the real tiny pipeline, and with one whose memory is small."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageChops

from tasks.errors import BadInputError, ConfigurationError, PermanentError
from tasks.images.diffusion import DiffusionRenderer, defaults_for, open_diffusion
from tasks.images.drawing import DrawingDefaults
from tasks.images.faults import GpuLostError, PictureMemoryError
from tasks.images.pipelines import load_pipeline
from tasks.images.png import picture_metadata
from tasks.images.renderer import Renderer, open_renderer
from tasks.images.tiny import RECIPE, TINY_DEFAULTS, TINY_NAME, tiny_folder
from tasks.schemas.pictures import PictureRequest, RenderedPicture

pytestmark = [
    pytest.mark.integration,
    # diffusers 0.42 and huggingface_hub 2.4 use things that numpy and they themselves deprecate.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning"),
]

# Of all weights of the tiny model, in the order of their names: the same on every machine.
TINY_DIGEST = "961d01389d0576d0"

A = PictureRequest(prompt="a lighthouse in fog", seed=1)
B = PictureRequest(prompt="林晓在雨中的书店门口", seed=2)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def tiny(models_dir: Path) -> Iterator[Renderer]:
    renderer = open_renderer("tiny", device="cpu", models_dir=models_dir)
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def pipeline(models_dir: Path) -> Any:
    return load_pipeline(str(tiny_folder(models_dir)), device="cpu")


def pixels(picture: RenderedPicture) -> Image.Image:
    return Image.open(io.BytesIO(picture.png)).convert("RGB")


def largest_difference(one: RenderedPicture, other: RenderedPicture) -> int:
    bands = ImageChops.difference(pixels(one), pixels(other)).getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


def test_the_tiny_model_draws_a_labelled_picture_of_its_default_size(tiny: Renderer) -> None:
    [picture] = tiny.render([A])
    read = picture_metadata(picture.png)
    assert (picture.width, picture.height) == pixels(picture).size == (384, 384)
    assert picture.model == tiny.name == read["model"] == TINY_NAME
    assert "untrained" in TINY_NAME
    assert (read["prompt"], read["seed"], read["steps"], read["guidance"]) == (
        "a lighthouse in fog",
        "1",
        "4",
        "4.0",
    )
    assert len(pixels(picture).getcolors(maxcolors=200_000) or ()) > 1000


def test_the_same_request_gives_the_same_bytes_in_any_company(tiny: Renderer) -> None:
    together = tiny.render([A, B, A.model_copy(update={"seed": 9})])
    assert together[0].png == tiny.render([A])[0].png
    assert together[1].png == tiny.render([B])[0].png


def test_in_one_call_a_picture_is_the_same_up_to_rounding(pipeline: Any) -> None:
    counted = CountedPipeline(pipeline)
    together = DiffusionRenderer(counted, name="x", defaults=TINY_DEFAULTS)
    alone = DiffusionRenderer(pipeline, name="x", defaults=TINY_DEFAULTS)
    several = [A.model_copy(update={"seed": seed}) for seed in range(3)] + [B]
    drawn = together.render(several)
    assert counted.calls == [4]
    for request, picture in zip(several, drawn, strict=True):
        assert largest_difference(picture, alone.render([request])[0]) <= 2


class CountedPipeline:
    """Hands calls on to a pipeline and notes how many pictures each one asked for."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.calls: list[int] = []

    def __call__(self, **arguments: Any) -> Any:
        self.calls.append(len(arguments["prompt"]))
        return self._pipeline(**arguments)


def test_seed_prompt_and_negative_prompt_all_change_the_picture(tiny: Renderer) -> None:
    changed = [
        A,
        A.model_copy(update={"seed": 2}),
        A.model_copy(update={"prompt": "a market at noon"}),
        A.model_copy(update={"negative_prompt": "blurry, dark"}),
    ]
    drawn = [hashlib.sha256(pixels(picture).tobytes()) for picture in tiny.render(changed)]
    assert len({digest.hexdigest() for digest in drawn}) == 4


def test_mixed_sizes_come_back_in_the_order_asked(tiny: Renderer) -> None:
    sizes = [(96, 96), (200, 120), (96, 96), (120, 200)]
    asked = [
        PictureRequest(prompt="x", seed=seed, width=width, height=height, steps=1)
        for seed, (width, height) in enumerate(sizes)
    ]
    drawn = tiny.render(asked)
    assert [(picture.width, picture.height) for picture in drawn] == sizes
    assert [picture.seed for picture in drawn] == [0, 1, 2, 3]
    assert [pixels(picture).size for picture in drawn] == sizes


def test_prompts_far_too_long_for_the_tokenizer_are_drawn(tiny: Renderer) -> None:
    asked = PictureRequest(prompt="雨" * 2000, seed=2**70, steps=1, width=96)
    assert len(tiny.render([asked])) == 1


def test_nothing_asked_nothing_drawn(tiny: Renderer) -> None:
    assert tiny.render([]) == []


def test_the_tiny_model_s_weights_are_the_same_on_every_machine(pipeline: Any) -> None:
    digest = hashlib.sha256()
    for part in (pipeline.text_encoder, pipeline.unet, pipeline.vae):
        for name, weight in sorted(part.named_parameters()):
            digest.update(name.encode() + weight.detach().numpy().tobytes())
    assert digest.hexdigest()[:16] == TINY_DIGEST


def test_a_folder_is_named_by_its_last_part(models_dir: Path) -> None:
    renderer = open_diffusion(str(tiny_folder(models_dir)), device="cpu")
    [picture] = renderer.render([PictureRequest(prompt="x", seed=1, steps=1)])
    read = picture_metadata(picture.png)
    assert renderer.name == RECIPE
    assert (picture.width, picture.height) == (64, 64)
    assert read["guidance"] == "7.5"


def test_known_few_step_models_get_few_steps_and_no_guidance() -> None:
    turbo = defaults_for("Tongyi-MAI/Z-Image-Turbo")
    assert (turbo.steps, turbo.guidance, turbo.size) == (8, 0.0, (1024, 1024))
    assert defaults_for("/models/own-finetune") == DrawingDefaults()


class SmallMemory:
    """A pipeline that runs out of memory with more than `room` pictures, as torch does."""

    def __init__(self, room: int, error: Exception | None = None) -> None:
        self.room = room
        self.error = error
        self.tried: list[int] = []

    def __call__(
        self,
        prompt: Any = None,
        num_inference_steps: int = 5,
        guidance_scale: float = 1.0,
        **_: Any,
    ) -> Any:
        import torch

        self.tried.append(len(prompt))
        if self.error is not None:
            raise self.error
        if len(prompt) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return SimpleNamespace(images=[Image.new("RGB", (8, 8)) for _ in prompt])


def rendered_by(pipeline: Any, count: int) -> list[RenderedPicture]:
    renderer = DiffusionRenderer(pipeline, name="fake", defaults=DrawingDefaults())
    return renderer.render([PictureRequest(prompt="x", seed=seed) for seed in range(count)])


def test_out_of_memory_halves_the_batch_and_every_picture_is_drawn() -> None:
    fake = SmallMemory(room=2)
    assert [picture.seed for picture in rendered_by(fake, 7)] == list(range(7))
    assert fake.tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_picture_too_large_even_alone_is_a_memory_error() -> None:
    with pytest.raises(PictureMemoryError, match="CUDA out of memory"):
        rendered_by(SmallMemory(room=0), 2)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), GpuLostError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), GpuLostError),
        (RuntimeError("shapes do not match"), PermanentError),
        (ValueError("`height` and `width` have to be divisible by 8"), BadInputError),
    ],
)
def test_what_the_pipeline_raises_becomes_one_of_our_errors(
    error: Exception, kind: type[Exception]
) -> None:
    fake = SmallMemory(room=9, error=error)
    with pytest.raises(kind):
        rendered_by(fake, 3)
    assert fake.tried == [3]


def test_a_model_that_draws_too_few_pictures_is_an_error() -> None:
    class Short(SmallMemory):
        def __call__(self, *rest: Any, **named: Any) -> Any:
            return SimpleNamespace(images=super().__call__(*rest, **named).images[1:])

    with pytest.raises(PermanentError, match="Asked for 2 pictures, the model drew 1"):
        rendered_by(Short(room=9), 2)


def test_a_model_that_cannot_be_loaded_says_why(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for spec, reason in {
        f"diffusers:{tmp_path / 'none'}": "There is no folder",
        f"diffusers:{tmp_path}": "model_index.json",
        "diffusers:nobody/no-such-model": "offline mode",
    }.items():
        with pytest.raises(ConfigurationError, match=reason) as caught:
            open_renderer(spec, device="cpu", models_dir=models_dir)
        assert "folder" in caught.value.hint.lower()


def test_a_gpu_that_is_not_there_is_a_configuration_error(models_dir: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigurationError, match="CUDA"):
        open_renderer("tiny", device="cuda", models_dir=models_dir)

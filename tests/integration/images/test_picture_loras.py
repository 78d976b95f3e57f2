"""LoRA adapters on the real tiny pipeline, made by peft for this test."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BadInputError, ConfigurationError
from tasks.images.diffusion import DiffusionRenderer
from tasks.images.lora import LoraShelf
from tasks.images.pipelines import load_pipeline
from tasks.images.png import picture_metadata
from tasks.images.tiny import TINY_DEFAULTS, build_tiny, tiny_folder
from tasks.schemas.pictures import PictureRequest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PLAIN = PictureRequest(prompt="a lighthouse", seed=1, width=96, steps=1)


def write_lora(folder: Path, *, seed: int) -> str:
    """Save a LoRA with weights that change something, as a trainer would."""
    import torch
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = build_tiny().unet
    config = LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    torch.manual_seed(seed)
    unet.add_adapter(config)
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(unet)
    )
    return str(folder)


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("loras")
    return [write_lora(folder / name, seed=seed) for seed, name in enumerate(("ink", "oil"))]


@pytest.fixture
def pipeline(tmp_path: Path) -> Any:
    return load_pipeline(str(tiny_folder(tmp_path)), device="cpu")


def renderer_of(pipeline: Any) -> DiffusionRenderer:
    return DiffusionRenderer(pipeline, name="x", defaults=TINY_DEFAULTS, largest_batch=1)


def test_each_lora_changes_the_picture_and_leaves_no_trace_on_others(
    pipeline: Any, loras: list[str]
) -> None:
    renderer = renderer_of(pipeline)
    [before] = renderer.render([PLAIN])
    ink, oil = (PLAIN.model_copy(update={"lora": lora}) for lora in loras)
    drawn = renderer.render([ink, PLAIN, oil, ink])
    pixels = {picture.png.partition(b"IDAT")[2] for picture in drawn}
    assert len(pixels) == 3
    assert drawn[0].png == drawn[3].png
    assert drawn[1].png == before.png
    assert picture_metadata(drawn[0].png)["lora"] == loras[0]
    [ink_first] = renderer_of(load_again(pipeline)).render([ink])
    assert ink_first.png == drawn[0].png


def load_again(pipeline: Any) -> Any:
    return load_pipeline(pipeline.config._name_or_path, device="cpu")


def test_the_oldest_adapter_makes_room(pipeline: Any, loras: list[str]) -> None:
    shelf = LoraShelf(pipeline, kept=1)
    for lora in (loras[0], loras[1], loras[0]):
        shelf.use(lora)
        [names] = pipeline.get_list_adapters().values()
        assert len(names) == 1
        assert pipeline.get_active_adapters() == names


def test_a_lora_that_cannot_be_loaded_fails_its_picture_and_no_later_one(
    pipeline: Any, tmp_path: Path, loras: list[str]
) -> None:
    renderer = renderer_of(pipeline)
    [before] = renderer.render([PLAIN])
    renderer.render([PLAIN.model_copy(update={"lora": loras[0]})])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{}garbage")
    other_model = write_other_shapes(Path(loras[1]), tmp_path / "other.safetensors")
    for lora in (str(tmp_path / "missing"), str(broken), other_model):
        with pytest.raises(BadInputError, match="LoRA"):
            renderer.render([PLAIN.model_copy(update={"lora": lora})])
    assert renderer.render([PLAIN])[0].png == before.png


def write_other_shapes(lora: Path, target: Path) -> str:
    """Save a LoRA as if made for a model with layers of twice the width."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(lora / "pytorch_lora_weights.safetensors")
    save_file({name: torch.cat([w, w], dim=1) for name, w in weights.items()}, target)
    return str(target)


def test_a_model_without_loras_says_so() -> None:
    with pytest.raises(ConfigurationError, match="knows no LoRA"):
        LoraShelf(object()).use("ink")

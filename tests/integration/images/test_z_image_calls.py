"""The default model's own pipeline class, tiny and with random weights, called as we call it.

What the real weights draw, and how fast, needs a GPU and is not tested here.
"""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from tasks.images.attention import choose_attention
from tasks.images.diffusion import DiffusionRenderer, defaults_for
from tasks.images.pipelines import load_pipeline
from tasks.images.png import picture_metadata
from tasks.images.renderer import DEFAULT_MODEL
from tasks.images.tiny import byte_symbols
from tasks.schemas.pictures import PictureRequest, RenderedPicture

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def small_z_image() -> Any:
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        ZImagePipeline,
        ZImageTransformer2DModel,
    )
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    symbols = [symbol for symbol in byte_symbols() if not symbol.endswith(("</w>", "|>"))]
    tokenizer = Qwen2Tokenizer(
        vocab={symbol: number for number, symbol in enumerate(symbols + marks)}, merges=[]
    )
    tokenizer.chat_template = CHAT
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(symbols + marks),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
        )
    )
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=48,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 8, 8],
        axes_lens=[1024, 64, 64],
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        shift_factor=0.1,
    )
    return ZImagePipeline(
        FlowMatchEulerDiscreteScheduler(shift=3.0), vae, text_encoder, tokenizer, transformer
    )


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> DiffusionRenderer:
    folder: Path = tmp_path_factory.mktemp("z-image-turbo")
    small_z_image().save_pretrained(folder)
    pipeline = load_pipeline(str(folder), device="cpu")
    return DiffusionRenderer(pipeline, name="small", defaults=defaults_for(DEFAULT_MODEL))


def largest_difference(one: RenderedPicture, other: RenderedPicture) -> int:
    images = [Image.open(io.BytesIO(picture.png)).convert("RGB") for picture in (one, other)]
    bands = ImageChops.difference(*images).getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


def test_prompts_of_unequal_length_share_a_call_and_keep_their_pictures(
    renderer: DiffusionRenderer,
) -> None:
    prompts = (
        "a lamp",
        "林晓在雨中的书店门口，霓虹灯",
        "a very long walk along the harbour at dusk",
    )
    asked = [
        PictureRequest(prompt=prompt, seed=seed, width=100, height=60)
        for seed, prompt in enumerate(prompts)
    ]
    together = renderer.render(asked)
    for request, picture in zip(asked, together, strict=True):
        assert (picture.width, picture.height) == (100, 60)
        assert largest_difference(picture, renderer.render([request])[0]) <= 2
    assert largest_difference(together[0], together[1]) > 10


def test_the_turbo_model_is_called_with_eight_steps_and_no_guidance(
    renderer: DiffusionRenderer,
) -> None:
    [picture] = renderer.render([PictureRequest(prompt="a lamp", seed=1, width=64)])
    read = picture_metadata(picture.png)
    assert (read["steps"], read["guidance"]) == ("8", "0.0")


def test_without_flash_attention_the_real_transformer_keeps_torch_s_own() -> None:
    pipeline = small_z_image()
    probed: list[str] = []
    assert choose_attention(pipeline, probe=lambda: probed.append("drawn")) == "native"
    assert probed == []

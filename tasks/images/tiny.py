"""The tiny untrained pipeline for demos and tests: real diffusers classes, made-up weights.

Its weights come from numpy's frozen Mersenne Twister as uniform numbers, without any function
whose last bit differs between machines, so the files are the same everywhere. It has learned
nothing: prompts only shift its colours, and its name says that it is untrained.
"""

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tasks.errors import ConfigurationError
from tasks.images.drawing import DrawingDefaults

TINY_NAME = "castline-tiny (untrained)"

# Change this with anything below that changes the weights: it names the folder.
RECIPE = "castline-tiny-1"
SEED = 25

# 384 pixels drawn as 64; the edges, greyed by the convolutions' padding, are cut away.
TINY_DEFAULTS = DrawingDefaults(
    size=(384, 384), steps=4, guidance=4.0, shrink=6, multiple=8, bleed=0.03
)

CONV_GAIN = 3.0
LINEAR_GAIN = 2.0
BIAS = 0.5
OUTPUT_GAIN = 0.5
OUTPUT_LAYER = "decoder.conv_out"
OUTPUT_BIAS = (0.15, 0.05, 0.1)


def tiny_folder(models_dir: Path) -> Path:
    """Return the folder of the tiny pipeline, building it (2 MB, about a second) if need be.

    Several processes may do this at once: each builds aside, the first to finish is kept.
    Raises ConfigurationError when nothing can be written there.
    """
    folder = models_dir / RECIPE
    if folder.is_dir():
        return folder
    try:
        _build_into(folder)
    except OSError as error:
        raise ConfigurationError(
            f"The tiny image model cannot be written to {models_dir}: {error}",
            hint="Choose another models folder, or make room and rights there.",
        ) from error
    return folder


def _build_into(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{RECIPE}-", dir=folder.parent))
    try:
        build_tiny().save_pretrained(aside)
        aside.chmod(0o755)
        _settle(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def build_tiny() -> Any:
    """Assemble the pipeline in memory. Imports torch; touches no file and no network."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    text_encoder, unet, vae = _text_encoder(), _unet(), _vae()
    for offset, model in enumerate((text_encoder, unet, vae)):
        fill_weights(model, seed=SEED + 1000 * offset)
    return StableDiffusionPipeline(
        tokenizer=_tokenizer(),
        text_encoder=text_encoder,
        unet=unet,
        vae=vae,
        scheduler=EulerDiscreteScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def fill_weights(model: Any, *, seed: int) -> None:
    """Overwrite every weight with seeded numbers; 3x3 kernels blur, which gives soft pictures."""
    import numpy
    import torch

    dice = numpy.random.RandomState(seed)
    for name, weight in sorted(model.named_parameters()):
        shape = tuple(weight.shape)
        numbers = dice.random_sample(shape[:2] if len(shape) == 4 else shape) * 2 - 1
        values = numpy.broadcast_to(_scaled(name, shape, numbers), shape)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(values.astype("float32")))


def _scaled(name: str, shape: tuple[int, ...], numbers: Any) -> Any:
    import numpy

    if name == f"{OUTPUT_LAYER}.bias":
        return numpy.asarray(OUTPUT_BIAS)
    if len(shape) == 1:
        return numpy.ones(shape) if name.endswith("weight") else numbers * BIAS
    spread = math.sqrt(3 / shape[1])
    if len(shape) == 2:
        return numbers * spread * LINEAR_GAIN
    kernel = shape[2] * shape[3]
    gain = OUTPUT_GAIN if name == f"{OUTPUT_LAYER}.weight" else CONV_GAIN
    per_cell = numbers * spread * (gain / kernel if kernel > 1 else LINEAR_GAIN)
    return per_cell[:, :, None, None]


def _settle(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        # A folder cannot replace one that has files: somebody else was first.
        if not folder.is_dir():
            raise


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    vocabulary = {symbol: number for number, symbol in enumerate(byte_symbols())}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def byte_symbols() -> list[str]:
    """Return CLIP's symbols for single bytes, inside and at the end of words, and its two marks.

    Byte-level BPE (GPT-2, 2019) writes printable bytes as themselves and shifts the others
    past 255.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    symbols = [chr(byte) for byte in sorted(printable)]
    symbols += [chr(256 + position) for position in range(len(others))]
    ends = [f"{symbol}</w>" for symbol in symbols]
    return [*symbols, *ends, "<|startoftext|>", "<|endoftext|>"]


def _text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    symbols = len(byte_symbols())
    config = CLIPTextConfig(
        vocab_size=symbols,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=symbols - 2,
        eos_token_id=symbols - 1,
        pad_token_id=symbols - 1,
    )
    return CLIPTextModel(config).eval()


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
    ).eval()


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=64,
        block_out_channels=(16, 32),
        latent_channels=4,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
    ).eval()

"""Loading a diffusers pipeline onto a device; drawing with it is the renderer's business.

The first function here that runs imports torch and diffusers (about five seconds).
"""

import importlib
import re
from pathlib import Path
from typing import Any

from tasks.errors import CastlineError, ConfigurationError
from tasks.images.faults import GpuLostError, PictureMemoryError, picture_fault, weight_faults

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def load_pipeline(model: str, *, device: str) -> Any:
    """Load a text-to-image pipeline from a folder or a hub name, and move it to the device.

    Only safetensors are read, never pickles. Raises ConfigurationError (no such folder or
    model, no network, no such device, missing packages) and PictureMemoryError (too big).
    """
    source = model_source(model)
    torch, diffusers = libraries()
    _check_device(torch, device)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    try:
        pipeline = diffusers.AutoPipelineForText2Image.from_pretrained(
            source, dtype=dtype, use_safetensors=True
        )
    except weight_faults() as error:
        raise _not_loaded(model, error) from error
    try:
        pipeline = pipeline.to(device)
    except RuntimeError as error:
        raise _not_moved(model, device, error) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def model_source(model: str) -> str:
    """Return the folder's path or the hub name that `model` means. Raises ConfigurationError."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise ConfigurationError(
                f"{folder} holds no diffusers pipeline: there is no model_index.json in it.",
                hint="Give the folder that save_pretrained or a hub download wrote.",
            )
        return str(folder)
    if HUB_NAME.fullmatch(model) and not model.startswith("."):
        return model
    raise ConfigurationError(
        f"There is no folder {folder}, and {model!r} is no hub name.",
        hint="Use diffusers:/path/to/folder or diffusers:OWNER/NAME.",
    )


def libraries() -> tuple[Any, Any]:
    """Import torch and diffusers, quietly. Raises ConfigurationError when they are missing."""
    try:
        torch = importlib.import_module("torch")
        transformers_log = importlib.import_module("transformers.utils.logging")
        diffusers_log = importlib.import_module("diffusers.utils.logging")
        # Both libraries log every load and every long prompt; our own log has the outcome.
        for library_log in (transformers_log, diffusers_log):
            library_log.set_verbosity_error()
            library_log.disable_progress_bar()
        return torch, importlib.import_module("diffusers")
    except ImportError as error:
        raise ConfigurationError(
            f"Drawing with a model needs packages that are not installed: {error.name}.",
            hint='Install them with: pip install -e ".[images]"',
        ) from error


def _check_device(torch: Any, device: str) -> None:
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ConfigurationError(
            "torch finds no CUDA GPU on this machine.",
            hint="Check the driver and that torch is a CUDA build, or use --device cpu.",
        )
    index = device.partition(":")[2]
    if index and int(index) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"There is no {device}: torch sees {torch.cuda.device_count()} GPU(s) here.",
            hint="Check --gpu and CUDA_VISIBLE_DEVICES.",
        )


def _not_loaded(model: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The image model {model!r} could not be loaded: {_root_reason(error)}",
        hint="Check the name, the network and the access rights of the hub, or download the "
        "model once and give its folder: diffusers:/path/to/folder.",
    )


def _root_reason(error: BaseException) -> str:
    # diffusers says "no model_index.json" for everything; what happened lies underneath.
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def _not_moved(model: str, device: str, error: RuntimeError) -> CastlineError:
    fault = picture_fault(error)
    if isinstance(fault, PictureMemoryError):
        return PictureMemoryError(
            f"The image model {model!r} does not fit into the memory of {device}: {error}",
            hint="Use a smaller model, or free that device.",
        )
    if isinstance(fault, GpuLostError):
        return fault
    return ConfigurationError(
        f"The image model {model!r} could not be moved to {device}: {error}",
        hint="Check the driver, or use --device cpu.",
    )

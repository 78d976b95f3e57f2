"""The fastest attention that a loaded pipeline really runs with, else torch's own (SDPA).

diffusers 0.42 can switch it for transformers only; UNets ignore the setting and keep SDPA.
"""

import logging
from collections.abc import Callable
from typing import Any

from tasks.images.faults import GpuLostError, picture_fault

log = logging.getLogger(__name__)

# The variable-length kernel: plain `flash` refuses the masks of prompts of unequal length.
# No `*_hub` name: those download kernels while the worker starts.
BACKENDS = ("flash_varlen",)

REFUSALS = (ImportError, ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError)


def choose_attention(pipeline: Any, *, probe: Callable[[], object]) -> str:
    """Switch to a flash backend if it draws, else stay with torch's own; return its name.

    `probe` draws something small with the pipeline: some backends fail only then. Raises
    GpuLostError when trying one broke the CUDA context.
    """
    transformer: Any = getattr(pipeline, "transformer", None)
    if not hasattr(transformer, "set_attention_backend"):
        return "native"
    for backend in BACKENDS:
        try:
            transformer.set_attention_backend(backend)
            probe()
        except REFUSALS as error:
            if isinstance(picture_fault(error), GpuLostError):
                raise GpuLostError(
                    f"Attention {backend} broke the GPU's context: {error}",
                    hint="Install a flash-attn that fits this torch, or uninstall it.",
                ) from error
            log.info("Attention %s is not usable here, keeping torch's own: %s", backend, error)
            transformer.set_attention_backend("native")
        else:
            return backend
    return "native"

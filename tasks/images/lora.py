"""The LoRA adapters that a pipeline holds: loaded when first asked for, a few kept."""

import hashlib
import warnings
from collections import OrderedDict
from typing import Any

from tasks.errors import BadInputError, ConfigurationError
from tasks.images.faults import weight_faults

KEPT = 4
WEIGHTS = "pytorch_lora_weights.safetensors"


class LoraShelf:
    """Switches one pipeline between its adapters; the least recently used one makes room."""

    def __init__(self, pipeline: Any, *, kept: int = KEPT) -> None:
        self._pipeline = pipeline
        self._kept = kept
        self._names: OrderedDict[str, str] = OrderedDict()

    def use(self, lora: str) -> None:
        """Draw with `lora` (a .safetensors file, a folder or a hub name) from now on; "" is none.

        Raises BadInputError when it cannot be loaded into this model, ConfigurationError when
        the model knows no LoRA or peft is missing. After an error no adapter is active.
        """
        if self._names:
            self._pipeline.disable_lora()
        if not lora:
            return
        if lora not in self._names:
            self._load(lora)
        self._names.move_to_end(lora)
        self._pipeline.enable_lora()
        self._pipeline.set_adapters([self._names[lora]])

    def _load(self, lora: str) -> None:
        if not hasattr(self._pipeline, "load_lora_weights"):
            raise ConfigurationError(
                f"{type(self._pipeline).__name__} knows no LoRA, so {lora!r} cannot be used.",
                hint="Leave the LoRA away or use another image model.",
            )
        name = "lora_" + hashlib.sha256(lora.encode()).hexdigest()[:16]
        try:
            with warnings.catch_warnings():
                # peft warns about a second adapter, which is what this shelf is for.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                self._pipeline.load_lora_weights(lora, adapter_name=name, use_safetensors=True)
        except weight_faults() as error:
            self._clear()
            raise BadInputError(
                f"The LoRA {lora!r} could not be loaded into this model: {_first_line(error)}",
                hint=f"Give a .safetensors file or a folder with {WEIGHTS}, made for this model.",
            ) from error
        self._names[lora] = name
        if len(self._names) > self._kept:
            _, oldest = self._names.popitem(last=False)
            self._pipeline.delete_adapters([oldest])

    def _clear(self) -> None:
        # What failed half-way may hang in the layers under no name that we know.
        self._pipeline.unload_lora_weights()
        self._names.clear()


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__

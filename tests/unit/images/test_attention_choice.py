import pytest

from tasks.images.attention import choose_attention
from tasks.images.faults import GpuLostError


class Transformer:
    """Records what it was switched to; refuses names that it does not know."""

    def __init__(self, *known: str) -> None:
        self.known = {"native", *known}
        self.chosen: list[str] = []

    def set_attention_backend(self, name: str) -> None:
        if name not in self.known:
            raise RuntimeError(f"{name} needs a package that is not installed")
        self.chosen.append(name)


class Pipeline:
    def __init__(self, transformer: object) -> None:
        self.transformer = transformer


def nothing() -> None:
    """A probe that draws without complaint."""


def test_flash_is_taken_when_it_draws() -> None:
    transformer = Transformer("flash_varlen")
    assert choose_attention(Pipeline(transformer), probe=nothing) == "flash_varlen"
    assert transformer.chosen == ["flash_varlen"]


def test_without_the_package_torch_s_own_attention_stays() -> None:
    transformer = Transformer()
    assert choose_attention(Pipeline(transformer), probe=nothing) == "native"
    assert transformer.chosen == ["native"]


def test_a_backend_that_fails_only_while_drawing_is_taken_back() -> None:
    def probe() -> None:
        raise ValueError("`attn_mask` is not supported")

    transformer = Transformer("flash_varlen")
    assert choose_attention(Pipeline(transformer), probe=probe) == "native"
    assert transformer.chosen == ["flash_varlen", "native"]


def test_a_backend_that_breaks_the_gpu_is_not_hidden() -> None:
    def probe() -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    with pytest.raises(GpuLostError, match="flash_varlen"):
        choose_attention(Pipeline(Transformer("flash_varlen")), probe=probe)


@pytest.mark.parametrize("transformer", [None, object()])
def test_a_unet_keeps_what_it_has(transformer: object) -> None:
    assert choose_attention(Pipeline(transformer), probe=nothing) == "native"

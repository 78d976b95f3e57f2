import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tasks.errors import BadInputError, ConfigurationError
from tasks.images.png import picture_metadata
from tasks.images.renderer import open_renderer, renderer_spec
from tasks.images.sleeper import SleepRenderer
from tasks.schemas.pictures import PictureRequest


@pytest.mark.parametrize(
    ("spec", "kind", "model", "seconds"),
    [
        ("tiny", "tiny", "", 0.0),
        ("default", "default", "Tongyi-MAI/Z-Image-Turbo", 0.0),
        ("sleep:0.5", "sleep", "", 0.5),
        ("sleep:0", "sleep", "", 0.0),
        (" diffusers:/models/mine ", "diffusers", "/models/mine", 0.0),
        ("diffusers:owner/name", "diffusers", "owner/name", 0.0),
    ],
)
def test_each_kind_of_renderer_is_recognised(
    spec: str, kind: str, model: str, seconds: float
) -> None:
    taken = renderer_spec(spec)
    assert (taken.kind, taken.model, taken.seconds) == (kind, model, seconds)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "huge",
        "tiny:2",
        "sleep",
        "sleep:long",
        "sleep:-1",
        "sleep:nan",
        "sleep:inf",
        "diffusers:",
    ],
)
def test_any_other_setting_is_refused_with_what_is_allowed(spec: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        renderer_spec(spec)
    assert all(word in caught.value.hint for word in ("tiny", "default", "sleep:", "diffusers:"))


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "0"])
def test_an_unknown_device_is_refused(device: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        open_renderer("sleep:0", device=device, models_dir=tmp_path)


def test_the_default_model_says_that_it_needs_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CUDA") as caught:
        open_renderer("default", device="cpu", models_dir=tmp_path)
    assert "tiny" in caught.value.hint


def test_the_sleeper_waits_once_a_picture_and_keeps_the_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tasks.images.sleeper.time.sleep", waits.append)
    renderer = open_renderer("sleep:2.5", device="cpu", models_dir=tmp_path)
    asked = [PictureRequest(prompt=f"picture {seed}", seed=seed) for seed in (5, 3, 9)]
    drawn = renderer.render(asked)
    renderer.close()
    assert len(waits) == 3
    assert all(0 < wait <= 2.5 for wait in waits)  # drawing the label is part of the 2.5 s
    assert [picture.seed for picture in drawn] == [5, 3, 9]
    assert picture_metadata(drawn[1].png)["prompt"] == "picture 3"
    assert "no model" in drawn[0].model


def test_a_sleeper_s_picture_has_the_size_and_the_seed_asked_for() -> None:
    renderer = SleepRenderer(0)
    asked = PictureRequest(prompt="林晓\nin the rain", seed=4, width=100, height=60)
    drawn, again = renderer.render([asked, asked])
    assert Image.open(io.BytesIO(drawn.png)).size == (drawn.width, drawn.height) == (100, 60)
    assert drawn.png == again.png


def test_a_sleeper_refuses_absurd_sizes_before_it_waits() -> None:
    with pytest.raises(BadInputError):
        SleepRenderer(3600).render([PictureRequest(prompt="x", seed=1, width=9)])


def test_nothing_imports_torch_before_a_model_is_opened() -> None:
    script = """
import importlib, pathlib, sys
import tasks.images
for file in pathlib.Path(tasks.images.__file__).parent.glob("*.py"):
    importlib.import_module(f"tasks.images.{file.stem}".removesuffix(".__init__"))
from tasks.images.renderer import open_renderer
from tasks.images.device import gpus
from tasks.schemas.pictures import PictureRequest
renderer = open_renderer("sleep:0", device="cpu", models_dir=pathlib.Path("/nowhere"))
renderer.render([PictureRequest(prompt="x", seed=1)])
gpus()
heavy = {"torch", "diffusers", "transformers", "peft", "numpy"} & set(sys.modules)
assert not heavy, heavy
assert "tasks.images.diffusion" in sys.modules
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

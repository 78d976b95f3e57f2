import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import BadInputError
from tasks.images.drawing import DrawingDefaults, canvas_for, drawing, finished, same_kind
from tasks.images.tiny import TINY_DEFAULTS
from tasks.schemas.pictures import PictureRequest

TURBO = DrawingDefaults(size=(1024, 1024), steps=8, guidance=0.0)


def test_what_a_request_leaves_open_is_the_model_s_own() -> None:
    plan = drawing(PictureRequest(prompt="x", seed=1), TURBO)
    assert (plan.size, plan.canvas, plan.steps, plan.guidance) == ((1024, 1024),) * 2 + (8, 0.0)


def test_what_a_request_says_wins() -> None:
    asked = PictureRequest(prompt="x", seed=1, width=640, height=480, steps=3, guidance=0.0)
    plan = drawing(asked, DrawingDefaults(size=(512, 512), steps=20, guidance=7.5))
    assert (plan.size, plan.steps, plan.guidance) == ((640, 480), 3, 0.0)


def test_a_model_without_defaults_is_left_to_its_pipeline() -> None:
    plan = drawing(PictureRequest(prompt="x", seed=1), DrawingDefaults())
    assert (plan.size, plan.canvas, plan.steps, plan.guidance) == (None, None, None, None)


def test_one_side_alone_means_a_square() -> None:
    assert drawing(PictureRequest(prompt="x", seed=1, height=320), TURBO).size == (320, 320)


def test_the_tiny_model_draws_64_pixels_for_its_384() -> None:
    plan = drawing(PictureRequest(prompt="x", seed=1), TINY_DEFAULTS)
    assert (plan.size, plan.canvas) == ((384, 384), (64, 64))


@given(st.integers(16, 4096), st.integers(16, 4096), st.sampled_from([TURBO, TINY_DEFAULTS]))
def test_a_canvas_is_drawable_and_covers_the_picture(
    width: int, height: int, defaults: DrawingDefaults
) -> None:
    canvas = canvas_for((width, height), defaults)
    for side, drawn in zip((width, height), canvas, strict=True):
        assert drawn % defaults.multiple == 0
        assert side <= drawn * defaults.shrink < side + defaults.multiple * defaults.shrink


@pytest.mark.parametrize("size", [(8, 512), (512, 5000), (-64, 64)])
def test_absurd_sizes_are_refused_with_the_bounds(size: tuple[int, int]) -> None:
    asked = PictureRequest(prompt="x", seed=1, width=size[0], height=size[1])
    with pytest.raises(BadInputError) as caught:
        drawing(asked, TURBO)
    assert "16 to 4096" in caught.value.hint


@pytest.mark.parametrize("steps", [-1, 100_000])
def test_absurd_steps_are_refused(steps: int) -> None:
    with pytest.raises(BadInputError, match="steps"):
        drawing(PictureRequest(prompt="x", seed=1, steps=steps), TURBO)


def test_a_picture_ends_at_the_size_asked_for() -> None:
    plan = drawing(PictureRequest(prompt="x", seed=1, width=1000, height=700), TURBO)
    assert plan.canvas == (1008, 704)
    assert finished(Image.new("RGB", (1008, 704)), plan, TURBO).size == (1000, 700)


def test_only_pictures_alike_share_a_call() -> None:
    asked = [
        PictureRequest(prompt="a", seed=1),
        PictureRequest(prompt="b", seed=2, steps=2),
        PictureRequest(prompt="c", seed=3, width=1024, height=1024),
        PictureRequest(prompt="d", seed=4, lora="ink"),
        PictureRequest(prompt="e", seed=5, negative_prompt="blur"),
        PictureRequest(prompt="f", seed=6, guidance=2.0),
        PictureRequest(prompt="g", seed=7, steps=2),
    ]
    groups = same_kind([drawing(request, TURBO) for request in asked])
    assert groups == [[0, 2], [1, 6], [3], [4], [5]]

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import BadInputError
from tasks.images.png import encode_png, picture_metadata

DOT = Image.new("RGB", (2, 2), (10, 120, 200))


def test_what_made_a_picture_is_read_back_from_it() -> None:
    details = {"prompt": "a red house", "seed": 7, "model": "m", "steps": 4, "guidance": 1.5}
    read = picture_metadata(encode_png(DOT, details))
    assert read == {
        "prompt": "a red house",
        "seed": "7",
        "model": "m",
        "steps": "4",
        "guidance": "1.5",
        "Software": "Castline",
        "AI-generated": "true",
    }


def test_a_prompt_cannot_remove_the_mark_that_the_picture_is_generated() -> None:
    png = encode_png(DOT, {"AI-generated": "false", "Software": "a camera"})
    assert picture_metadata(png)["AI-generated"] == "true"
    assert picture_metadata(png)["Software"] == "Castline"


def test_chinese_goes_into_international_text_and_english_into_plain_text() -> None:
    assert b"iTXtprompt" in encode_png(DOT, {"prompt": "林晓在雨中"})
    assert b"tEXtprompt" in encode_png(DOT, {"prompt": "rain"})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
@settings(max_examples=60, deadline=None)
def test_every_prompt_survives_the_way_through_the_file(prompt: str) -> None:
    assert picture_metadata(encode_png(DOT, {"prompt": prompt}))["prompt"] == prompt


def test_characters_that_png_cannot_hold_are_replaced() -> None:
    png = encode_png(DOT, {"prompt": "a\0b\ud800c"})
    assert picture_metadata(png)["prompt"] == "a\ufffdb\ufffd\ufffd\ufffdc"


def test_the_pixels_are_kept_exactly() -> None:
    image = Image.open(io.BytesIO(encode_png(DOT, {})))
    assert image.tobytes() == DOT.tobytes()


@pytest.mark.parametrize("data", [b"", b"not a png", encode_png(DOT, {"prompt": "x"})[:60]])
def test_bytes_that_are_no_png_are_bad_input(data: bytes) -> None:
    with pytest.raises(BadInputError, match="PNG"):
        picture_metadata(data)

"""Cards inside PNG files, checked with Pillow as the independent reader."""

import base64
import io
import json
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tasks.errors import BadInputError
from tasks.schemas.card import valid_card_v3
from tasks.stages.card_png import embed_card, embedded_card
from tasks.stages.png_chunks import Chunk, chunks_of, png_of, text_chunk


def png(mode: str = "RGB", **texts: str) -> bytes:
    image = Image.effect_mandelbrot((16, 12), (-3, -2.5, 2, 2.5), 100).convert(mode)
    info = PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    sink = io.BytesIO()
    image.save(sink, "PNG", pnginfo=info, dpi=(300, 300))
    return sink.getvalue()


def texts(data: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return dict(image.text)


def decoded(text: str):
    return json.loads(base64.b64decode(text))


def encoded(value) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_a_png_carries_both_versions_of_its_card(card):
    found = texts(embed_card(png(), card))
    assert decoded(found["chara"]) == card
    assert valid_card_v3(decoded(found["ccv3"]))["data"]["name"] == "Ada Falk"


def test_what_was_embedded_is_read_v3_first(card):
    assert embedded_card(embed_card(png(), card))["spec"] == "chara_card_v3"
    assert embedded_card(png(chara=encoded(card))) == card


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "I;16"])
def test_pixels_and_other_chunks_stay_as_they_are(mode, card):
    before = png(mode, Title="Ada", Software="Castline") if mode != "I;16" else png16()
    after = embed_card(before, card)
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        assert (new.mode, new.size, new.tobytes()) == (old.mode, old.size, old.tobytes())
    kept = [c for c in chunks_of(after) if c.keyword not in ("chara", "ccv3")]
    assert kept == chunks_of(before)


def png16() -> bytes:
    sink = io.BytesIO()
    Image.new("I;16", (4, 4), 40_000).save(sink, "PNG")
    return sink.getvalue()


def test_embedding_again_leaves_only_the_new_card(card):
    other = {**card, "data": {**card["data"], "name": "Bo"}}
    twice = embed_card(embed_card(png(), card), other)
    names = [c.keyword for c in chunks_of(twice) if c.keyword]
    assert sorted(names) == ["ccv3", "chara"]
    assert embedded_card(twice)["data"]["name"] == "Bo"


def test_old_cards_of_any_kind_of_text_chunk_and_case_are_removed(card):
    body = b"Chara\0\0" + zlib.compress(b"old")
    international = b"ccv3\0\0\0\0\0old"
    chunks = chunks_of(png())
    chunks[1:1] = [Chunk(b"zTXt", body), Chunk(b"iTXt", international), text_chunk("CHARA", "old")]
    found = texts(embed_card(png_of(chunks), card))
    assert sorted(found) == ["ccv3", "chara"]
    assert decoded(found["chara"]) == card


def test_the_card_stands_before_the_pixels(card):
    kinds = [chunk.kind for chunk in chunks_of(embed_card(png(), card))]
    assert kinds.index(b"tEXt") < kinds.index(b"IDAT")


def test_text_after_the_pixels_is_found_too(card):
    chunks = chunks_of(png())
    chunks.insert(-1, text_chunk("chara", encoded(card)))
    assert embedded_card(png_of(chunks)) == card


def test_base64_with_line_breaks_is_read(card):
    wrapped = base64.encodebytes(json.dumps(card).encode()).decode()
    assert embedded_card(png(chara=wrapped)) == card


def test_half_characters_do_not_stop_a_card_from_being_embedded(card):
    card["data"]["personality"] = "torn \ud83d"
    assert embedded_card(embed_card(png(), card))["data"]["personality"] == "torn \ufffd"


def test_a_png_without_a_card_has_none():
    assert embedded_card(png(Title="x")) is None


@pytest.mark.parametrize("chunk", ["%%%", encoded({})[:-3], base64.b64encode(b"\xff").decode()])
def test_a_broken_card_is_refused_under_the_pictures_name(chunk):
    with pytest.raises(BadInputError, match=r"ada\.png"):
        embedded_card(png(chara=chunk), label="ada.png")


@pytest.mark.parametrize("size", [0, 4, 8, 20, 60, -1])
def test_a_cut_or_foreign_file_is_no_png(size, card):
    with pytest.raises(BadInputError):
        embed_card(png()[:size], card)


def test_a_damaged_png_is_refused(card):
    data = bytearray(png())
    data[40] ^= 1
    with pytest.raises(BadInputError, match="damaged"):
        embed_card(bytes(data), card)


def test_what_follows_the_end_is_dropped(card):
    assert embed_card(png() + b"trailing", card) == embed_card(png(), card)

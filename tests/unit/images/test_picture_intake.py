import base64
import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from tasks.errors import BadInputError
from tasks.images.intake import data_url, portrait_png, read_picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def photo(size: tuple[int, int] = (64, 40)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert("RGB")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_four_formats_are_read(kind: str) -> None:
    picture = read_picture(encoded(photo(), kind), label=f"me.{kind.lower()}")
    assert (picture.width, picture.height, picture.image.mode) == (64, 40, "RGB")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    assert read_picture(encoded(photo().convert(mode), "PNG"), label="x").image.mode == "RGB"


def test_cmyk_photos_become_rgb() -> None:
    picture = read_picture(encoded(photo().convert("CMYK"), "JPEG"), label="x")
    assert picture.image.mode == "RGB"


def test_sixteen_bit_greys_keep_their_brightness() -> None:
    grey = Image.new("I;16", (4, 4), 32768)
    pixel = read_picture(encoded(grey, "PNG"), label="x").image.getpixel((0, 0))
    assert pixel in {(127, 127, 127), (128, 128, 128)}


def test_transparent_places_become_white() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert read_picture(encoded(clear, "PNG"), label="x").image.getpixel((0, 0)) == (255, 255, 255)


def test_an_animation_gives_its_first_frame() -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(red, "GIF", save_all=True, append_images=[blue], duration=50)
    assert read_picture(data, label="x").image.getpixel((4, 4)) == (255, 0, 0)


def test_a_phone_s_two_frame_jpeg_gives_its_first_frame() -> None:
    data = encoded(photo(), "MPO", save_all=True, append_images=[photo((8, 8))])
    assert read_picture(data, label="x").image.size == (64, 40)


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(encoded(photo((64, 40)), "JPEG", exif=exif), label="x")
    assert (picture.width, picture.height) == (40, 64)


def test_where_a_photo_was_taken_does_not_travel_on() -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home, 12 Secret Street"
    exif[0x0132] = "2026:11:23 10:00:00"
    data = encoded(photo(), "JPEG", exif=exif, comment=b"Secret Street")
    assert b"Secret" in data
    picture = read_picture(data, label="x")
    sent = base64.b64decode(data_url(picture).partition(",")[2])
    for outcome in (sent, portrait_png(picture)):
        assert b"Secret" not in outcome
        assert not Image.open(io.BytesIO(outcome)).getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_does_not_cost_the_photo() -> None:
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert read_picture(data, label="x").width == 64


def test_a_colour_profile_is_applied_and_a_broken_one_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_picture(encoded(photo(), "JPEG", icc_profile=profile), label="x").width == 64
    assert read_picture(encoded(photo(), "JPEG", icc_profile=b"nonsense"), label="x").width == 64


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"Dear diary, today I", "not a picture"),
        (b"%PDF-1.7 ...", "not a picture"),
        (b"\0" * 20_000_001, "20.0 MB"),
        (b"\0" * 50_000_000, "50.0 MB"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (encoded(photo((400, 400)), "JPEG")[:900], "damaged or cut-off JPEG"),
        (encoded(photo((400, 400)), "PNG")[:300], "damaged or cut-off PNG"),
        (encoded(photo(), "BMP"), "not a picture"),
        (png_header(9_000, 6_000), "9000x6000"),
        (png_header(60_000, 60_000), "far more pixels"),
        (png_header(10_000, 10_000), "pixels"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_say_what_where_and_what_to_do(data: bytes, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason) as caught:
        read_picture(data, label="holiday.jpg")
    assert "holiday.jpg" in str(caught.value)
    assert caught.value.hint


def test_a_bomb_is_refused_while_warnings_are_errors() -> None:
    with pytest.raises(BadInputError, match="pixels"):
        read_picture(png_header(10_000, 10_000), label="bomb.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(kind: str) -> None:
    dice, whole = random.Random(kind), encoded(photo((24, 24)), kind)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole[: dice.choice((len(whole), dice.randrange(1, len(whole))))])
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            read_picture(bytes(damaged), label="x")
        except BadInputError:
            refused += 1
    assert refused > 0


def test_the_data_url_is_a_jpeg_of_bounded_size() -> None:
    picture = read_picture(encoded(photo((3000, 1000)), "PNG"), label="x")
    head, _, body = data_url(picture, max_side=600).partition(",")
    assert head == "data:image/jpeg;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
    assert (sent.format, sent.size) == ("JPEG", (600, 200))


def test_small_pictures_are_not_blown_up() -> None:
    picture = read_picture(encoded(photo((30, 20)), "PNG"), label="x")
    assert Image.open(io.BytesIO(portrait_png(picture))).size == (30, 20)


def test_the_portrait_is_a_png_of_at_most_1024_pixels() -> None:
    picture = read_picture(encoded(photo((1000, 2048)), "JPEG"), label="x")
    portrait = Image.open(io.BytesIO(portrait_png(picture)))
    assert (portrait.format, portrait.size) == ("PNG", (500, 1024))
    assert picture.image.size == (1000, 2048)


def test_the_example_portrait_is_a_picture_that_is_taken_in() -> None:
    file = Path(__file__).parents[3] / "examples" / "portrait.png"
    data = file.read_bytes()
    assert len(data) < 200_000
    assert read_picture(data, label=file.name).image.size == (640, 800)

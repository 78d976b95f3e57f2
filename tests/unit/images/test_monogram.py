import io
from pathlib import Path

import pytest
from PIL import Image, ImageFont

from tasks.images import monogram
from tasks.images.fonts import draws, font_for
from tasks.images.monogram import initials, monogram_png
from tasks.images.png import picture_metadata


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Mira Sandoval", "MS"),
        ("  ilse   van der  Berg ", "IB"),
        ("Jonas", "J"),
        ("林晓", "林"),
        ("欧阳 修", "欧"),
        ('"Ada" (Lovelace)', "AL"),
        ("Ольга Петрова", "ОП"),
        ("...", ""),
        ("", ""),
    ],
)
def test_initials_are_what_a_person_would_write(name: str, letters: str) -> None:
    assert initials(name) == letters


@pytest.mark.parametrize("name", ["Mira Sandoval", "林晓", "🙂", "", "Élodie Łuczak", "\ud800"])
def test_every_name_gets_a_portrait_of_the_same_size(name: str) -> None:
    image = Image.open(io.BytesIO(monogram_png(name)))
    image.load()
    assert (image.format, image.size, image.mode) == ("PNG", (512, 768), "RGB")


def test_the_same_name_gives_the_same_picture_and_another_name_another() -> None:
    assert monogram_png("Mira Sandoval") == monogram_png("Mira Sandoval")
    assert monogram_png("Mira Sandoval") != monogram_png("Mira Sandova")


def test_the_metadata_says_that_it_is_drawn_and_for_an_ai_made_card() -> None:
    read = picture_metadata(monogram_png("Mira"))
    assert read["drawn"] == "true"
    assert read["AI-generated"] == "true"
    assert "not a picture of anybody" in read["Description"]


def test_without_a_font_for_its_letters_a_name_gets_an_emblem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_letters = monogram_png("林晓")
    monkeypatch.setattr(monogram, "font_for", lambda text, *, size_px: None)
    emblem = monogram_png("林晓")
    assert emblem != with_letters or font_for("林", size_px=20) is None
    centre = Image.open(io.BytesIO(emblem)).crop((200, 280, 312, 400))
    assert len(centre.getcolors(maxcolors=100_000) or ()) > 2


def test_the_built_in_font_draws_plain_latin_everywhere() -> None:
    font = font_for("Mira Sandoval", size_px=40, folders=())
    assert font is not None
    assert draws(font, "MS")


def test_a_font_without_the_glyph_is_not_taken(tmp_path: Path) -> None:
    builtin = ImageFont.load_default(size=40)
    assert not draws(builtin, "林")
    assert font_for("林", size_px=40, folders=(tmp_path,)) is None


def test_an_accented_initial_without_a_font_is_drawn_as_its_plain_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def only_ascii(text: str, *, size_px: int) -> object:
        asked.append(text)
        return font_for(text, size_px=size_px, folders=())

    monkeypatch.setattr(monogram, "font_for", only_ascii)
    monogram_png("Émile")
    assert asked[:2] == ["É", "E"]

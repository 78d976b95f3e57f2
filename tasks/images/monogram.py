"""The portrait of a character that has none: its initials, or an emblem, drawn from its name.

Drawn with Pillow alone, the same for the same name and fonts; the caller decides who needs one.
"""

import colorsys
import hashlib
import math
import random
import unicodedata
from dataclasses import dataclass

from PIL import Image, ImageDraw

from tasks.images.fonts import Font, font_for
from tasks.images.png import encode_png

WIDTH, HEIGHT = 512, 768
SCALE = 2  # drawn twice as large and shrunk, which smooths every edge
CENTRE = (WIDTH * SCALE // 2, int(HEIGHT * SCALE * 0.44))
RADIUS = int(WIDTH * SCALE * 0.31)
NAME_WIDTH = int(WIDTH * SCALE * 0.84)
DESCRIPTION = "A monogram drawn from the character's name, not a picture of anybody"

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours that go together: two of the sky, one of the disc, one of the ink on it."""

    top: Colour
    bottom: Colour
    disc: Colour
    ink: Colour


def monogram_png(name: str) -> bytes:
    """Draw a 512x768 PNG for a name; its metadata says that it is drawn, for an AI-made card.

    Initials that no font of this machine can draw are replaced by a geometric emblem.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big")
    dice = random.Random(seed)
    palette = name_palette(dice)
    image = _sky(palette)
    _bubbles(image, palette, dice)
    draw = ImageDraw.Draw(image)
    _disc(draw, palette)
    _centrepiece(draw, name, palette, dice)
    _name_line(draw, name, palette)
    return encode_png(
        image.reduce(SCALE), {"Title": name, "Description": DESCRIPTION, "drawn": "true"}
    )


def initials(name: str) -> str:
    """Return up to two letters: of the first and the last word, or one for Chinese names."""
    words = [letters for word in name.split() if (letters := _letters(word))]
    if not words:
        return ""
    first, last = words[0][0], words[-1][0]
    if len(words) == 1 or _is_ideograph(first):
        return first.upper()
    return (first + last).upper()


def name_palette(dice: random.Random) -> Palette:
    """Pick colours: one hue, a neighbour of it for the sky, the same one deep for the ink."""
    hue = dice.random()
    neighbour = hue + dice.choice((-1, 1)) * dice.uniform(0.07, 0.14)
    return Palette(
        top=_colour(hue, 0.72, 0.62),
        bottom=_colour(neighbour, 0.42, 0.60),
        disc=_colour(hue, 0.96, 0.70),
        ink=_colour(hue, 0.30, 0.45),
    )


def _letters(word: str) -> str:
    return "".join(char for char in word if char.isalnum())


def _is_ideograph(char: str) -> bool:
    return unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL"))


def _colour(hue: float, lightness: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(palette: Palette) -> Image.Image:
    descent = Image.linear_gradient("L")
    bottom = Image.new("RGB", descent.size, palette.bottom)
    top = Image.new("RGB", descent.size, palette.top)
    return Image.composite(bottom, top, descent).resize((WIDTH * SCALE, HEIGHT * SCALE))


def _bubbles(image: Image.Image, palette: Palette, dice: random.Random) -> None:
    veil = Image.new("L", image.size)
    draw = ImageDraw.Draw(veil)
    for _ in range(7):
        x, y = dice.uniform(0, image.width), dice.uniform(0, image.height)
        radius = dice.uniform(0.08, 0.34) * image.width
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dice.randint(18, 46))
    image.paste(palette.disc, mask=veil)


def _disc(draw: ImageDraw.ImageDraw, palette: Palette) -> None:
    draw.circle(CENTRE, RADIUS, fill=palette.disc)
    draw.circle(CENTRE, int(RADIUS * 0.91), outline=palette.top, width=4 * SCALE)


def _centrepiece(
    draw: ImageDraw.ImageDraw, name: str, palette: Palette, dice: random.Random
) -> None:
    letters = initials(name)
    size = int(RADIUS * (1.05 if len(letters) == 1 else 0.82))
    for spelling in (letters, _plain(letters)):
        font = font_for(spelling, size_px=size) if spelling else None
        if font is not None:
            draw.text(CENTRE, spelling, font=font, fill=palette.ink, anchor="mm")
            return
    _emblem(draw, palette, dice)


def _plain(letters: str) -> str:
    # É without a font for it is still better as E than as an emblem.
    decomposed = unicodedata.normalize("NFKD", letters)
    return decomposed.encode("ascii", "ignore").decode("ascii")


def _emblem(draw: ImageDraw.ImageDraw, palette: Palette, dice: random.Random) -> None:
    petals = dice.randint(5, 9)
    turn = dice.uniform(0, math.tau)
    reach, petal = RADIUS * 0.46, RADIUS * dice.uniform(0.18, 0.24)
    for step in range(petals):
        angle = turn + step * math.tau / petals
        middle = (CENTRE[0] + reach * math.cos(angle), CENTRE[1] + reach * math.sin(angle))
        draw.circle(middle, petal, fill=palette.ink if step % 2 else palette.bottom)
    draw.circle(CENTRE, RADIUS * 0.26, fill=palette.ink)
    draw.circle(CENTRE, RADIUS * 0.13, fill=palette.disc)


def _name_line(draw: ImageDraw.ImageDraw, name: str, palette: Palette) -> None:
    text = " ".join(name.split())
    font = _fitting_font(draw, text)
    if font is not None:
        place = (CENTRE[0], int(HEIGHT * SCALE * 0.83))
        draw.text(place, text, font=font, fill=palette.disc, anchor="mm")


def _fitting_font(draw: ImageDraw.ImageDraw, text: str) -> Font | None:
    for size_px in (88, 72, 60, 50, 42):
        font = font_for(text, size_px=size_px) if text else None
        if font is None:
            return None
        if draw.textlength(text, font=font) <= NAME_WIDTH:
            return font
    return None

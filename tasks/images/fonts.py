"""A font that can really draw a given text; none is shipped, so the machine's own are tried."""

import functools
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)

# Best first: broad Latin, Greek and Cyrillic, then Chinese, Japanese and Korean.
FILES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "PingFang.ttc",
    "STHeiti Medium.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
)

# A noncharacter: every font draws its "missing" box for it.
MISSING = "\U0010fffe"


def font_for(text: str, *, size_px: int, folders: tuple[Path, ...] = FOLDERS) -> Font | None:
    """Find a font with a glyph for every character of `text`, None when this machine has none.

    Pillow's built-in font (basic Latin) comes first, so that plain names look the same anywhere.
    """
    builtin = ImageFont.load_default(size=size_px)
    if draws(builtin, text):
        return builtin
    for path in _installed(folders):
        font = ImageFont.truetype(path, size_px)
        if draws(font, text):
            return font
    return None


def draws(font: Font, text: str) -> bool:
    """Tell whether the font has its own glyph for every character that is not a space."""
    missing = bytes(font.getmask(MISSING))
    return all(bytes(font.getmask(char)) != missing for char in set(text) if not char.isspace())


@functools.cache
def _installed(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    found = {path.name: path for folder in folders for path in sorted(folder.glob("**/*.tt[fc]"))}
    found |= {path.name: path for folder in folders for path in sorted(folder.glob("**/*.otf"))}
    return tuple(found[name] for name in FILES if name in found)

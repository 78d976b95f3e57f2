"""Cards inside PNG files: tEXt chunk `chara` holds V2, `ccv3` V3, both base64 of UTF-8 JSON."""

import base64
import binascii
import copy
import io
import json
from collections.abc import Mapping
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo

from tasks.errors import BadInputError

V2, V3 = "chara", "ccv3"


def embed_card(png: bytes, card: Mapping[str, Any]) -> bytes:
    """Write a V2 card and its V3 twin into a PNG, in place of any that it carries.

    Other text chunks are kept. Raises BadInputError when the bytes are no PNG.
    """
    image = opened(png)
    info = PngInfo()
    for key, value in image.text.items():
        if key not in (V2, V3):
            info.add_itxt(key, str(value))
    info.add_text(V2, encoded(card))
    info.add_text(V3, encoded(as_v3(card)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def embedded_card(png: bytes) -> Any:
    """Read a PNG's card, V3 first; None when it carries none.

    Raises BadInputError when the bytes are no PNG or the chunk is broken.
    """
    text = opened(png).text
    raw = text.get(V3) or text.get(V2)
    if raw is None:
        return None
    try:
        return json.loads(base64.b64decode(str(raw), validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadInputError("the card in this PNG is broken") from error


def as_v3(card: Mapping[str, Any]) -> dict[str, Any]:
    """Raise a V2 card to V3: what V3 requires on top, nothing else."""
    raised = copy.deepcopy(dict(card))
    raised.update(spec="chara_card_v3", spec_version="3.0")
    data = raised["data"]
    data.setdefault("group_only_greetings", [])
    for entry in data.get("character_book", {}).get("entries", []):
        entry.setdefault("use_regex", False)
    return raised


def encoded(card: Mapping[str, Any]) -> str:
    """Encode a card for its chunk."""
    return base64.b64encode(json.dumps(card, ensure_ascii=False).encode()).decode()


def opened(png: bytes) -> PngImageFile:
    """Open and read a PNG whole. Raises BadInputError."""
    try:
        image = Image.open(io.BytesIO(png))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadInputError("not a readable PNG") from error
    if not isinstance(image, PngImageFile):
        raise BadInputError("not a PNG")
    return image

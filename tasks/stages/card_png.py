"""Cards inside PNG files: tEXt chunk `chara` holds V2, `ccv3` V3, both base64 of UTF-8 JSON.

The picture itself is not touched: pixels, colours and other chunks stay as they are.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from tasks.errors import BadInputError
from tasks.stages.card_versions import v3_from_v2
from tasks.stages.png_chunks import chunks_of, png_of, text_chunk, texts_of
from tasks.stages.user_json import parse_json

V2, V3 = "chara", "ccv3"


def embed_card(png: bytes, card: Mapping[str, Any]) -> bytes:
    """Write a V2 card and its V3 twin into a PNG, in place of any that it carries.

    Raises BadInputError when the bytes are no PNG.
    """
    chunks = [chunk for chunk in chunks_of(png) if chunk.keyword not in (V2, V3)]
    # Before the pixels: readers that stop there find it too.
    at = next((i for i, chunk in enumerate(chunks) if chunk.kind == b"IDAT"), len(chunks) - 1)
    chunks[at:at] = [
        text_chunk(V2, _encoded(card)),
        text_chunk(V3, _encoded(v3_from_v2(card))),
    ]
    return png_of(chunks)


def embedded_card(png: bytes, *, label: str = "this file") -> Any:
    """Read a PNG's card as JSON, V3 before V2; None when it carries none.

    Raises BadInputError when the bytes are no PNG or the chunk is broken.
    """
    texts = texts_of(chunks_of(png, label=label))
    raw = texts.get(V3) or texts.get(V2)
    if raw is None:
        return None
    try:
        text = base64.b64decode(b"".join(raw.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadInputError(
            f"the character card in {label} is broken: it is not base64 of UTF-8 text",
            hint="export the card again with the program that wrote it",
        ) from error
    return parse_json(text, label=f"the character card in {label}")


def _encoded(card: Mapping[str, Any]) -> str:
    text = json.dumps(card, ensure_ascii=False)
    # Half characters (lone surrogates) stay valid JSON when they are escaped.
    return base64.b64encode(text.encode("utf-8", "backslashreplace")).decode()

"""Folder names for characters; what goes into the folders is the exporter's business."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import count

MAX_LENGTH = 60

# Latin letters that Unicode does not take apart into a base letter and an accent.
_UNDIVIDED = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
)
_WINDOWS_DEVICE = re.compile(r"con|prn|aux|nul|com\d|lpt\d")


def slugs(names: Sequence[str]) -> tuple[str, ...]:
    """Give each name a folder name of its own, in order.

    Safe on every common file system: ASCII, lower-case, no Windows device name, no two alike,
    at most 60 characters. A name with fewer than two Latin letters or digits becomes
    `character-01`, by its place; a repeated one gets `-2`.
    """
    taken: dict[str, None] = {}
    for place, name in enumerate(names, start=1):
        taken[_free(_latin(name) or f"character-{place:02d}", taken)] = None
    return tuple(taken)


def _latin(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_UNDIVIDED))
    ascii_only = plain.encode("ascii", "ignore").decode("ascii")
    text = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:MAX_LENGTH].rstrip("-")
    if _WINDOWS_DEVICE.fullmatch(text):
        return f"character-{text}"
    return text if len(text) > 1 else ""


def _free(text: str, taken: Collection[str]) -> str:
    if text not in taken:
        return text
    endings = (f"-{number}" for number in count(2))
    candidates = (text[: MAX_LENGTH - len(end)].rstrip("-") + end for end in endings)
    return next(candidate for candidate in candidates if candidate not in taken)

"""How long a tweet is as X counts it, and how one that is too long is cut.

Source: twitter-text 3 with its configuration v3: code points 0-4351, 8192-8205, 8208-8223 and
8242-8247 weigh 1, all others 2, a URL 23, an emoji sequence 2; text is normalised to NFC first.
Written here because the PyPI port (twitter-text-parser) needs pkg_resources, which today's
setuptools no longer has. Weakness: emoji sequences that no font shows as one (an unassigned flag,
a skin tone on a car) count as one; what is a URL is `tweet_urls`' business.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tasks.stages.tweet_urls import url_spans

LIMIT = 280
URL_WEIGHT = 23
EMOJI_WEIGHT = 2
LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))

_SYMBOLS = (
    r"\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    r"\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001faff"
)
_ONE = (
    r"(?:[\U0001f1e6-\U0001f1ff]{1,2}"  # a flag
    r"|[0-9#*]\ufe0f?\u20e3"  # a keycap
    r"|[\u00a9\u00ae]\ufe0f"  # signs that are text unless told otherwise
    rf"|[{_SYMBOLS}]\ufe0f?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*)"
)
EMOJI = re.compile(f"{_ONE}(?:\u200d{_ONE})*")
_ENDS = re.compile(r"[.!?…。！？]+[\"'”’」』)）]*(?=\s|$)|[。！？][”’」』）]*")


class Piece(NamedTuple):
    """What is counted, and cut, as a whole: a URL, an emoji, a character with its marks."""

    text: str
    weight: int


@lru_cache(maxsize=256)
def tweet_length(text: str) -> int:
    """Count a tweet's weighted length; at most 280 can be posted."""
    return sum(piece.weight for piece in pieces(unicodedata.normalize("NFC", text)))


def pieces(text: str) -> Iterator[Piece]:
    """Take an NFC text apart into what is counted."""
    at = 0
    for start, end in url_spans(text):
        yield from _outside_urls(text[at:start])
        yield Piece(text[start:end], URL_WEIGHT)
        at = end
    yield from _outside_urls(text[at:])


def shorten(text: str, limit: int = LIMIT) -> str:
    """Cut a text so that it fits, after a sentence or between words, and mark it with "…".

    A text that fits comes back normalised and otherwise as it is. Text without a boundary in its
    last two fifths is cut between two characters, never within an emoji, a URL or an accent.
    """
    text = unicodedata.normalize("NFC", text)
    if tweet_length(text) <= limit:
        return text
    kept = _fitting(text, limit - tweet_length(" …"))
    least = len(kept) * 3 // 5
    sentence = max((found.end() for found in _ENDS.finditer(kept)), default=0)
    if sentence > least:
        whole = kept[:sentence]
        return f"{whole} …" if whole[-1].isascii() else f"{whole}…"
    gap = max(kept.rfind(blank) for blank in " \n")
    between = text[len(kept) : len(kept) + 1].isspace()
    words = kept if between or gap <= least else kept[:gap]
    return words.rstrip(" \n,;:-–—，、；：") + "…"


def _fitting(text: str, limit: int) -> str:
    kept, weight = [], 0
    for piece in pieces(text):
        weight += piece.weight
        if weight > limit:
            break
        kept.append(piece.text)
    return "".join(kept)


def _outside_urls(text: str) -> Iterator[Piece]:
    at = 0
    while at < len(text):
        if text[at : at + 2].isascii():  # no emoji begins here and no mark follows
            yield Piece(text[at], 1)
            at += 1
            continue
        emoji = EMOJI.match(text, at)
        if emoji:
            yield Piece(emoji.group(), EMOJI_WEIGHT)
            at = emoji.end()
            continue
        end = at + 1
        while end < len(text) and unicodedata.category(text[end]).startswith("M"):
            end += 1
        yield Piece(text[at:end], sum(_weight(char) for char in text[at:end]))
        at = end


def _weight(char: str) -> int:
    return 1 if any(low <= ord(char) <= high for low, high in LIGHT) else 2

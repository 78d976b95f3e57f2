"""How long a tweet is as X counts it: twitter-text v3, weighted length, limit 280.

Written here because the PyPI port (twitter-text-parser) needs pkg_resources, which setuptools no
longer has. Source: the published twitter-text v3 configuration: code points 0-4351, 8192-8205,
8208-8223 and 8242-8247 weigh 1, others 2, a URL 23, an emoji sequence 2; text is NFC-normalised.
Weakness: URLs are recognised by their scheme only; a bare domain is counted as its letters.
"""

import re
import unicodedata

LIMIT = 280
URL_LENGTH = 23
LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
URL = re.compile(r"https?://[^\s\u3000-\u303f\uff00-\uffef]+")
ELEMENT = (
    "(?:[\U0001f1e6-\U0001f1ff]{2}"
    "|[0-9#*]\ufe0f?\u20e3"
    "|[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]"
    "[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*)"
)
EMOJI = re.compile(f"{ELEMENT}(?:\u200d{ELEMENT})*")
PRESENTED = re.compile("[\U0001f000-\U0001faff\ufe0f\u20e3\u2600-\u27bf\u2b00-\u2bff]")


def tweet_length(text: str) -> int:
    """Count a tweet's weighted length; at most 280 can be posted."""
    text = unicodedata.normalize("NFC", text)
    total, at = 0, 0
    while at < len(text):
        url = URL.match(text, at)
        emoji = None if url else EMOJI.match(text, at)
        if url:
            total, at = total + URL_LENGTH, url.end()
        elif emoji and PRESENTED.search(emoji.group()):
            total, at = total + 2, emoji.end()
        else:
            total, at = total + weight(text[at]), at + 1
    return total


def weight(char: str) -> int:
    """Weigh one code point: 1 or 2."""
    code = ord(char)
    return 1 if any(low <= code <= high for low, high in LIGHT) else 2


def shorten(text: str, limit: int = LIMIT) -> str:
    """Cut a text at a sentence or word boundary so that it fits, marked with an ellipsis."""
    if tweet_length(text) <= limit:
        return text
    end = len(text)
    while tweet_length(text[:end].rstrip() + "…") > limit:
        end -= 1
    kept = text[:end]
    stops = [m.end() for m in re.finditer(r"[.!?。！？]\s*", kept)]
    if stops and stops[-1] > end * 0.6:
        return kept[: stops[-1]].rstrip()
    space = kept.rfind(" ")
    return (kept[:space] if space > end * 0.6 else kept).rstrip(" ,;:") + "…"

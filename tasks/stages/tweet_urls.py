"""Which parts of a tweet X takes for URLs, with or without a protocol.

After the rules of twitter-text 3, with a short list of generic top-level domains instead of its
fifteen hundred. Weakness: after `https://` any top-level domain of letters counts, and any two
letters count as a country; international domain names count only after a protocol.
"""

import re
from collections.abc import Iterator

_GENERIC = (
    "com|org|net|edu|gov|mil|int|info|biz|name|pro|aero|asia|cat|coop|jobs|mobi|museum|post|tel|"
    "travel|xxx|app|art|bar|bike|blog|cafe|camp|cards|care|center|city|cloud|club|coffee|company|"
    "cool|design|dev|digital|earth|email|events|expert|fashion|film|fun|fyi|gallery|games|garden|"
    "gift|global|group|guide|guru|help|home|host|house|how|ink|international|land|lgbt|life|link|"
    "live|lol|love|market|media|money|movie|network|news|ninja|one|online|page|party|photo|photos|"
    "pics|pink|place|plus|press|pub|recipes|red|rest|rocks|run|school|science|shop|show|site|ski|"
    "social|space|store|stream|studio|style|sucks|systems|team|tech|tips|today|tools|top|tours|"
    "town|toys|video|vip|wiki|win|wine|work|works|world|wtf|xyz|yoga|zone"
)
_LABEL = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_WIDE_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_END = r"(?![0-9a-z@+-])"
_PATH_CHARS = r"a-z0-9\u0400-\u04ff\u00c0-\u024f!*';:=+,.$/%#\[\]\-_~@|&"
_PATH_END = r"a-z0-9\u0400-\u04ff\u00c0-\u024f=_#/+\-"
_BALANCED = rf"\([{_PATH_CHARS}]*\)"
_TAIL = (
    r"(?::[0-9]+)?"
    rf"(?P<path>/(?:(?:[{_PATH_CHARS}]|{_BALANCED})*(?:[{_PATH_END}]|{_BALANCED}))?)?"
    r"(?:\?[a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-z0-9\-_&=#/])?"
)
_WITH_PROTOCOL = (
    rf"(?<![a-z0-9@＠$#＃])https?://(?:{_WIDE_LABEL}\.)+(?:[a-z]{{2,24}}|xn--[a-z0-9-]+){_END}"
)
_BARE = (
    rf"(?<![a-z0-9@＠$#＃_./-])(?P<labels>(?:{_LABEL}\.)+)"
    rf"(?:(?P<generic>{_GENERIC}|co|tv)|(?P<country>[a-z]{{2}})){_END}"
)
_URL = re.compile(f"(?:{_WITH_PROTOCOL}|{_BARE}){_TAIL}", re.IGNORECASE)


def url_spans(text: str) -> Iterator[tuple[int, int]]:
    """Find the URLs of a text: where each begins and ends, in order."""
    if "." not in text:
        return
    for found in _URL.finditer(text):
        alone = found["country"] and found["labels"].count(".") == 1 and not found["path"]
        if not alone:
            yield found.span()

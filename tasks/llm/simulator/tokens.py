"""How many tokens a text is taken to have: four ASCII characters or one Chinese one each."""

import math
import re

_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
PER_IMAGE = 85  # what OpenAI charges for a picture in low detail


def tokens_of(text: str) -> int:
    """The estimated tokens of a text, rounded up."""
    if text.isascii():
        return math.ceil(len(text) / 4)
    chinese = len(_CJK.findall(text))
    return chinese + math.ceil((len(text) - chinese) / 4)


def first_tokens(text: str, limit: int) -> str:
    """The beginning of a text that has at most `limit` tokens."""
    if text.isascii():
        return text[: limit * 4]
    used = 0.0
    for at, character in enumerate(text):
        used += 1 if _CJK.match(character) else 0.25
        if used > limit:
            return text[:at]
    return text

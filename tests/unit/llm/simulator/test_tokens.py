"""Tokens are estimated, and texts cut by them, consistently."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.llm.simulator.tokens import first_tokens, tokens_of


def test_four_ascii_characters_or_one_chinese_one_are_a_token() -> None:
    assert tokens_of("12345678") == 2
    assert tokens_of("123456789") == 3
    assert tokens_of("你好,world") == 2 + 2
    assert tokens_of("") == 0


@given(text=st.text("ab 你好。é"), limit=st.integers(1, 20))
def test_the_first_tokens_of_a_text_are_its_beginning_and_within_the_limit(
    text: str, limit: int
) -> None:
    cut = first_tokens(text, limit)
    assert text.startswith(cut)
    assert tokens_of(cut) <= limit
    assert cut == text or tokens_of(text) >= limit

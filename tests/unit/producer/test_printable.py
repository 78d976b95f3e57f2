import pytest

from producer.printable import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\r\n  c", "a b c"),
        ("\x1b[31mred\x07", "[31mred"),
        ("林小雨 🌧", "林小雨 🌧"),
        ("left\u202eright", "left right"),
        ("half \ud83c", "half"),
    ],
)
def test_a_text_is_one_line_without_control_characters(text: str, expected: str) -> None:
    assert one_line(text) == expected

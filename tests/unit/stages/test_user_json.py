import pytest

from tasks.errors import BadInputError
from tasks.stages.user_json import DEEPEST, parse_json


def test_half_characters_are_mended_in_keys_and_values():
    mended = parse_json('{"a\\ud800": ["\\udc00b", "\\ud83d\\udc31"]}', label="x")
    assert mended == {"a\ufffd": ["\ufffdb", "🐱"]}
    str(mended).encode()


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": Infinity}', "9" * 5000, "{'a': 1}"])
def test_what_is_no_json_is_refused_under_its_label(text):
    with pytest.raises(BadInputError, match="my file"):
        parse_json(text, label="my file")


@pytest.mark.parametrize("levels", [DEEPEST + 1, 100_000])
def test_endless_nesting_is_refused(levels):
    with pytest.raises(BadInputError, match="deeply"):
        parse_json("[" * levels + "]" * levels, label="x")


def test_nesting_up_to_the_limit_is_read():
    assert parse_json("[" * DEEPEST + "]" * DEEPEST, label="x")


def test_the_last_of_double_keys_counts_unless_they_are_refused():
    assert parse_json('{"a": 1, "a": 2}', label="x") == {"a": 2}
    with pytest.raises(BadInputError, match='"a" twice'):
        parse_json('{"a": 1, "a": 2}', label="x", doubles=False)

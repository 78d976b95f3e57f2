import io
import json

import pytest
from PIL import Image

from tasks.errors import BadInputError
from tasks.stages.card_png import embed_card
from tasks.stages.card_versions import v3_from_v2
from tasks.stages.read_card import read_card

V1 = dict.fromkeys(
    ("name", "description", "personality", "scenario", "first_mes", "mes_example"), "x"
)


def blank_png() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (4, 4)).save(sink, "PNG")
    return sink.getvalue()


def file(content) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def refused(data: bytes) -> str:
    with pytest.raises(BadInputError) as raised:
        read_card(data, label="mine.json")
    assert "mine.json" in str(raised.value)
    assert raised.value.hint
    return str(raised.value)


def test_our_own_cards_come_back_whole_from_json_and_png(card):
    assert read_card(file(card), label="c") == card
    assert read_card(b"\xef\xbb\xbf" + file(card), label="c") == card
    from_png = read_card(embed_card(blank_png(), card), label="c")
    kept = from_png["data"]["extensions"]["castline"].pop("v3")
    assert set(kept) == {"assets", "group_only_greetings"}
    for entry in from_png["data"]["character_book"]["entries"]:
        assert entry.pop("extensions") == {"castline": {"v3": {"use_regex": False}}}
        entry["extensions"] = {}
    assert from_png == card


def test_a_card_from_a_png_can_be_embedded_again_without_growing(card):
    once = read_card(embed_card(blank_png(), card), label="c")
    assert read_card(embed_card(blank_png(), once), label="c") == once


def test_a_v3_card_is_lowered(card):
    raised = v3_from_v2(card)
    raised["data"]["nickname"] = "Addie"
    lowered = read_card(file(raised), label="c")
    assert lowered["spec"] == "chara_card_v2"
    assert lowered["data"]["extensions"]["castline"]["v3"]["nickname"] == "Addie"


def test_a_v1_card_is_raised():
    read = read_card(file({**V1, "name": "Bo", "avatar": "none"}), label="c")
    assert (read["spec"], read["data"]["name"]) == ("chara_card_v2", "Bo")


def test_unknown_extensions_survive(card):
    card["data"]["extensions"]["someone/else"] = {"deep": [1, None]}
    assert read_card(file(card), label="c")["data"]["extensions"]["someone/else"] == {
        "deep": [1, None]
    }


def test_missing_fields_are_named(card):
    del card["data"]["first_mes"], card["data"]["tags"]
    message = refused(file(card))
    assert "data.first_mes: is missing" in message
    assert "data.tags: is missing" in message


def test_an_empty_name_is_named(card):
    card["data"]["name"] = "  "
    assert "data.name: must not be empty" in refused(file(card))
    assert "data.name" in refused(file({**V1, "name": ""}))


def test_many_faults_are_counted_not_listed(card):
    card["data"] = {"name": "x"}
    message = refused(file(card))
    assert message.count("is missing") == 3
    assert message.endswith(" and 9 more")


def test_a_null_book_is_refused(card):
    card["data"]["character_book"] = None
    assert "data.character_book" in refused(file(card))


@pytest.mark.parametrize(
    "content",
    [[], 3, "card", None, {}, {"name": "x"}, {"spec": "chara_card_v9", **V1}, {**V1, "name": 3}],
)
def test_what_is_no_card_is_refused(content):
    assert "not a character card" in refused(file(content))


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_a_card_whose_data_is_no_object_is_refused(data):
    assert "data" in refused(file({"spec": "chara_card_v3", "spec_version": "3.0", "data": data}))


@pytest.mark.parametrize("bad", [[], None, {"extensions": [], "entries": [3]}, {"entries": {}}])
def test_a_broken_v3_book_is_refused(bad, card):
    raised = v3_from_v2(card)
    raised["data"]["character_book"] = bad
    assert "character_book" in refused(file(raised))


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"{", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_neither_are_refused(data):
    refused(data)


def test_a_picture_without_a_card_says_what_to_do():
    assert "without a character card" in refused(blank_png())

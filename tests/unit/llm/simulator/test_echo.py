"""Markers reach the texts that a reader would read, and spoil nothing."""

from tasks.llm.simulator.echo import mark, marked_text


def always() -> bool:
    return True


def test_the_longest_text_of_the_top_is_marked_and_no_other() -> None:
    value = {"title": "Short", "body": "A longer text.", "more": {"deep": "x" * 99}, "n": 1}
    mark(value, ("ZEBRA",), always)
    assert value["body"] == "A longer text. ZEBRA"
    assert "ZEBRA" not in str(value["title"]) + str(value["more"])


def test_each_entry_of_a_list_is_marked_when_the_top_has_no_text() -> None:
    value = {"tweets": [{"text": "one two", "mood": "a"}, {"text": "three", "mood": "b"}]}
    mark(value, ("ZEBRA",), always)
    assert [tweet["text"] for tweet in value["tweets"]] == ["one two ZEBRA", "three ZEBRA"]


def test_every_text_of_a_plain_list_is_marked() -> None:
    value = ["one", "two"]
    mark(value, ("Z", "Y"), always)
    assert value == ["one Z Y", "two Z Y"]


def test_a_text_that_may_not_change_is_left_and_the_next_longest_taken() -> None:
    value = {"kind": "a-fixed-enum-value", "text": "free"}
    mark(value, ("Z",), lambda: value["kind"] == "a-fixed-enum-value")
    assert value == {"kind": "a-fixed-enum-value", "text": "free Z"}


def test_a_text_with_a_limit_is_shortened_to_make_room() -> None:
    value = {"text": "twelve chars"}
    mark(value, ("ZEBRA",), lambda: len(value["text"]) <= 12)
    assert value["text"].endswith("ZEBRA")
    assert len(value["text"]) <= 12


def test_a_marked_tweet_stays_within_240_characters() -> None:
    text = marked_text("x" * 238, ["ZEBRA"])
    assert len(text) == 240
    assert text.endswith(" ZEBRA")

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import run_exports as runs

from producer.character import characters
from producer.gallery.labels import CHINESE, ENGLISH
from producer.gallery.page import gallery_page
from tasks.schemas.export import RunExport

CASTLINE: dict[str, Any] = {
    "core": {"occupation": "night baker", "city": "Lisbon", "age": 34, "traits": ["dry"]},
    "strategy": {"voice": "short sentences"},
    "social_network": [{"name": "Old Teo", "relation": "neighbour"}],
    "authenticity": {"verified": False},
}


class Page(HTMLParser):
    """The elements of a page, and its text without style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in {"style", "script"}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def html(export: RunExport) -> str:
    return gallery_page(export, characters(export), generator="castline test")


def page(*personas: Any, **changes: Any) -> Page:
    return Page(html(runs.run(*personas, **changes)))


def test_a_character_is_shown_with_everything_that_its_card_holds() -> None:
    card = runs.card(
        description="{{char}} waits for {{user}}.",
        tags=["early riser"],
        extensions={"castline": CASTLINE},
        character_book={"entries": [{"keys": ["umbrella"], "content": "Forty-one of them."}]},
    )
    text = page(runs.persona(card=card)).text
    for expected in (
        "night baker · Lisbon · 34",
        "Mei Lin waits for you.",
        "dry",
        "early riser",
        "short sentences",
        "Old Teo",
        "Forty-one of them.",
        "AI-generated",
    ):
        assert expected in text


def test_facts_come_from_the_character_and_never_from_a_friend() -> None:
    friend = {"social_network": {"occupation": "clockmaker", "age": 80}}
    text = page(runs.persona(card=runs.card(extensions={"castline": friend}))).text
    assert "clockmaker ·" not in text
    assert "Occupation" in text


def test_a_description_says_the_name_once() -> None:
    card = runs.card(description="{{char}} is Mei Lin, 34, a baker. {{char}} waits.")
    assert "Mei Lin is 34, a baker. Mei Lin waits." in page(runs.persona(card=card)).text


def test_a_day_of_the_calendar_is_one_line() -> None:
    calendar = {"calendar": {"2026-11-01": {"topic": "rain", "mood": "calm"}, "2026-11-02": "sun"}}
    text = page(runs.persona(calendar=calendar)).text
    assert "rain · calm" in text
    assert "sun" in text


def test_example_tweets_are_shown_as_texts() -> None:
    examples = [{"text": "The oven is on. So am I.", "mood": "awake"}, "Rain again.", 7]
    card = runs.card(extensions={"castline": {"example_tweets": examples}})
    text = page(runs.persona(card=card)).text
    assert "The oven is on." in text
    assert "Rain again." in text
    assert "awake" not in text


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-11-23T17:45:12+00:00", "2026-11-23 17:45 UTC"),
        ("2026-11-23T17:45:12+02:00", "2026-11-23 15:45 UTC"),
        ("2026-11-23T17:45:12", "2026-11-23 17:45"),
        ("yesterday", "yesterday"),
    ],
)
def test_the_time_of_creation_is_shown_to_the_minute(created: str, shown: str) -> None:
    assert f"Created: {shown}" in page(created=created).text


def test_models_are_named_once() -> None:
    assert page(provider="model-a").text.count("model-a") == page(provider="p").text.count(
        "model-a"
    )


@pytest.mark.parametrize("data", [{"tags": None}, {"extensions": 7}, {"character_book": []}])
def test_a_card_with_fields_of_other_types_is_still_shown(data: dict[str, Any]) -> None:
    assert "Mei Lin" in page(runs.persona(card=runs.card(**data))).text


def test_a_card_nested_without_end_is_cut() -> None:
    deep: Any = "the bottom"
    for _ in range(300):
        deep = {"inside": deep}
    card = runs.card(extensions={"castline": {"strategy": deep}})
    text = page(runs.persona(card=card)).text
    assert "…" in text
    assert "the bottom" not in text


def test_tweets_stand_in_the_order_of_their_dates() -> None:
    tweets = (
        runs.tweet(1, date="2026-11-09"),
        runs.tweet(2, date="2026-11-07"),
        runs.tweet(3, date="2026-11-08"),
    )
    found = re.findall(r"Tweet number \d", page(runs.persona(tweets=tweets)).text)
    assert found == ["Tweet number 2", "Tweet number 3", "Tweet number 1"]


def test_pictures_are_lazy_described_and_sized() -> None:
    pictures = [image for image in page().all("img") if "images/" in (image["src"] or "")]
    assert [image["src"] for image in pictures] == [
        "mei-lin/images/01.png",
        "mei-lin/images/02.png",
    ]
    assert [image["alt"] for image in pictures] == ["prompt 1", "prompt 2"]
    assert {image["loading"] for image in pictures} == {"lazy"}
    assert {(image["width"], image["height"]) for image in pictures} == {("4", "3")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image": None, "picture_status": "failed"}, "Picture failed"),
        ({"image": None, "picture_status": "quarantined"}, "Picture failed"),
        ({"image": None, "picture_status": "running"}, "Picture not there yet"),
        ({"text": "", "status": "failed", "error": "refused"}, "could not be written. refused"),
        ({"text": "", "status": "waiting"}, "has not been written yet"),
    ],
)
def test_what_is_not_there_is_said(changes: dict[str, Any], expected: str) -> None:
    assert expected in page(runs.persona(tweets=(runs.tweet(1, **changes),))).text


def test_a_tweet_that_wanted_no_picture_misses_none() -> None:
    tweet = runs.tweet(1, image=None, picture_status="")
    text = page(runs.persona(tweets=(tweet,))).text
    assert "Picture failed" not in text
    assert "not there yet" not in text


def test_markup_in_a_text_stays_text() -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    tweet = runs.tweet(1, text=hostile, image_prompt='"><script>', model=hostile)
    person = runs.persona(card=runs.card(hostile, tags=[hostile]), tweets=(tweet,), error=hostile)
    shown = page(person, provider=hostile, created=hostile)
    assert hostile in shown.text
    assert len(shown.all("script")) == 1
    assert all("onerror" not in image for image in shown.all("img"))


def test_the_page_names_no_address_on_the_network() -> None:
    text = html(runs.run())
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text


def test_the_policy_allows_the_pages_own_style_and_script_and_no_other() -> None:
    policies = [meta["content"] or "" for meta in page().all("meta") if "http-equiv" in meta]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]


def test_a_run_in_chinese_is_marked_and_labelled_so() -> None:
    card = runs.card(
        "林小雨", extensions={"castline": {"core": {"age": 31}, "strategy": {"tone": "短"}}}
    )
    shown = page(runs.persona(card=card), language="zh")
    assert shown.all("html")[0]["lang"] == "zh-Hans"
    assert "31 岁" in shown.text
    assert "AI 生成" in shown.text
    assert "AI-generated" not in shown.text
    assert "语气" in shown.text


def test_both_languages_have_the_same_labels() -> None:
    assert ENGLISH.keys() == CHINESE.keys()


def test_pictures_for_a_tweets_file_are_shown_without_a_card() -> None:
    person = runs.persona(card=None, label="tweets.json")
    shown = page(person, kind="images")
    assert [image["src"] for image in shown.all("img")] == [
        "tweets-json/images/01.png",
        "tweets-json/images/02.png",
    ]
    links = [link["href"] for link in shown.all("a")]
    assert "tweets-json/tweets.json" in links
    assert "tweets-json/card.json" not in links


def test_counts_name_what_failed() -> None:
    status = runs.status(
        state="partial",
        tweets=runs.ItemCounts(total=1200, done=1190, failed=10),
        failures=runs.failures(3),
    )
    text = page(status=status).text
    assert "1,190 of 1,200" in text
    assert "10 failed" in text
    assert "What failed (3)" in text

"""What prompts say about a character that comes as a card; anybody may have written the card.

`creator_notes`, `creator` and `character_version` are for humans and never enter a prompt; chat
instructions (`system_prompt`, `post_history_instructions`) do not belong into tweets.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.stages.own_data import Card, own_data, part_of, parts_of, text_of, texts_of
from tasks.stages.wording import lines, listed

MACRO = re.compile(r"\{\{(char|user)\}\}|<(BOT|USER)>", re.IGNORECASE)
LONGEST = {"description": 3000, "personality": 1500, "situation": 800}
MOST_PEOPLE = 6
MOST_FACTS = 3
MOST_EXAMPLES = 6


def card_sheet(card: Card) -> str:
    """Sum a card up: who they are, how they tweet, whom they know."""
    data, own = card["data"], own_data(card)
    core, strategy, network = (part_of(own, k) for k in ("core", "strategy", "social_network"))
    return lines(
        {
            "character-name": data["name"],
            "age": text_of(core, "age"),
            "occupation": text_of(core, "occupation"),
            "city": text_of(core, "city"),
            "description": spoken(card, data["description"], LONGEST["description"]),
            "personality": spoken(card, data["personality"], LONGEST["personality"]),
            "situation": spoken(card, data["scenario"], LONGEST["situation"]),
            "goals": listed(texts_of(core, "goals")),
            "themes": listed(texts_of(strategy, "themes")),
            "tone": text_of(strategy, "tone"),
            "formats": listed(texts_of(strategy, "formats")),
            "hashtags": text_of(strategy, "hashtags"),
            "never posts": listed(texts_of(strategy, "avoids")),
            "people they know": listed(people(network)),
        }
    )


def people(network: Mapping[str, Any]) -> list[str]:
    """Name the people around the character."""
    known = [*parts_of(network, "close"), *parts_of(network, "online")]
    pairs = [(text_of(one, "name"), text_of(one, "relation")) for one in known]
    shown = [f"{name} ({relation})" if relation else name for name, relation in pairs if name]
    return shown[:MOST_PEOPLE]


def voice(card: Card) -> str:
    """Show how the character writes: earlier tweets, else how they talk; typing habits."""
    own = own_data(card)
    tweets = [text_of(tweet, "text") for tweet in parts_of(own, "example_tweets")]
    written = [tweet for tweet in tweets if tweet][:MOST_EXAMPLES]
    heading = "Tweets they wrote before (same voice, other words):"
    if not written:
        written = [spoken(card, card["data"][field], 600) for field in ("first_mes", "mes_example")]
        heading = "How they talk:"
    shown = [f"- {text}" for text in written if text]
    habits = text_of(part_of(own, "authenticity"), "typing_habits")
    typing = [f"typing habits: {habits}"] if habits else []
    return "\n".join([*([heading] if shown else []), *shown, *typing])


def named(card: Card, text: str, *, other: str = "somebody") -> str:
    """Put the character's name for `{{char}}`, and `other` for `{{user}}`."""
    return MACRO.sub(
        lambda m: card["data"]["name"] if (m[1] or m[2]).lower() in ("char", "bot") else other, text
    )


def facts(card: Card, text: str) -> str:
    """Pick the entries of the character book that a text calls up, constant ones first."""
    book = part_of(card["data"], "character_book")
    called = [entry for entry in parts_of(book, "entries") if calls_up(text, entry)]
    called.sort(key=lambda entry: (not entry.get("constant"), entry["insertion_order"]))
    known = [spoken(card, entry["content"], 500) for entry in called[:MOST_FACTS]]
    return (
        "\n".join(["What they know about it:", *(f"- {fact}" for fact in known)]) if known else ""
    )


def calls_up(text: str, entry: Mapping[str, Any]) -> bool:
    """Whether a text calls an entry up: it is on, and constant or a key occurs (V2's rules)."""
    if not entry["enabled"]:
        return False
    cased = entry.get("case_sensitive", False)
    shown = text if cased else text.casefold()

    def occurs(keys: list[str]) -> bool:
        return any(k.strip() and (k if cased else k.casefold()) in shown for k in keys)

    further = entry.get("secondary_keys") if entry.get("selective") else None
    return bool(entry.get("constant")) or (
        occurs(entry["keys"]) and (not further or occurs(further))
    )


def spoken(card: Card, text: str, longest: int) -> str:
    """Put names where a card has macros, on one line, cut between words when it is long."""
    flat = " ".join(named(card, text).replace("<START>", " ").split())
    return flat if len(flat) <= longest else flat[:longest].rsplit(" ", 1)[0] + "…"

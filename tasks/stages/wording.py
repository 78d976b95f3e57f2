"""Sentences that several prompts share."""

import json
from collections.abc import Iterable

from pydantic import BaseModel

from tasks.schemas.calls import Message
from tasks.schemas.documents import CoreDocument
from tasks.stages.stage import Language

HOUSE_RULES = (
    "You write for a studio that invents characters. Every character is a fictional adult; never "
    "a real person, never a minor. Keep everything safe for work, concrete and specific: names, "
    "objects, places and small moments rather than adjectives. No clichés, no brand names."
)
LANGUAGES = {
    "en": "Write all values in natural English.",
    "zh": "Write in Chinese: all values in natural Simplified Chinese (简体中文), except image "
    "prompts, which stay in English.",
}


def conversation(language: Language, role: str, *paragraphs: str) -> tuple[Message, ...]:
    """Build the two messages of a prompt: who writes, and what is asked."""
    system = f"{HOUSE_RULES} {LANGUAGES[language]} {role}"
    asked = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return (Message(role="system", content=system), Message(role="user", content=asked))


def sheet(core: CoreDocument) -> str:
    """Sum a character up for the stages after the core."""
    return "\n".join(
        [
            f"character-name: {core.name}",
            f"Age {core.age}, {core.gender}, {core.occupation} in {core.city}.",
            f"Background: {core.background}",
            f"Personality: {core.personality}",
            f"Speaking style: {core.speaking_style}",
            f"Values: {listed(core.values)}. Flaws: {listed(core.flaws)}.",
            f"Interests: {listed(core.interests)}. Goals: {listed(core.goals)}.",
        ]
    )


def listed(values: Iterable[str]) -> str:
    """Join with commas."""
    return ", ".join(values)


def as_json(document: BaseModel) -> str:
    """Show a document to a model."""
    return json.dumps(document.model_dump(mode="json"), ensure_ascii=False)

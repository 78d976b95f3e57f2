"""Picture prompts: the character's fixed look, the scene, and what must never be seen.

The look stands first: image models with a short memory (77 tokens) forget the end, and another
scene is a smaller loss than another person. Weakness: the list of words that are struck out is a
net with wide meshes; the negative prompt and the renderer's own checks stand behind it.
"""

import re
from dataclasses import dataclass

from tasks.stages.card_sheet import spoken
from tasks.stages.own_data import Card, own_data, part_of, text_of

NEVER = (
    "nsfw, nudity, underwear, gore, blood, weapon, child, minor, text, watermark, logo, signature, "
    "extra fingers, deformed hands, duplicate person"
)
DECENT = "fully clothed adult"
QUALITY = "natural light, candid photograph, detailed"
FRAMING = "head and shoulders portrait, looking at the camera"
LONGEST_LOOK = 300
LONGEST_SCENE = 400
UNSAFE = re.compile(
    r"\b(?:nsfw|nudes?|nudity|naked|topless|undressed|lingerie|erotic\w*|sexy|sexual\w*|sensual\w*|"
    r"porn\w*|explicit|gore|gory|bloody|corpses?)\b[ ,]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A character's visual profile, as far as pictures need it."""

    base: str
    portrait: str
    negative: str


def look_of(card: Card) -> Look:
    """Read a card's visual profile; the look of a card without one is its description."""
    visual = part_of(own_data(card), "visual_profile")
    described = spoken(card, card["data"]["description"], LONGEST_LOOK) or card["data"]["name"]
    return Look(
        base=text_of(visual, "base_prompt") or described,
        portrait=text_of(visual, "portrait_prompt"),
        negative=text_of(visual, "negative_prompt"),
    )


def picture_prompt(scene: str, look: Look) -> tuple[str, str]:
    """Join a look with a scene; returns the positive and the negative prompt."""
    positive = joined(safe(look.base), safe(scene[:LONGEST_SCENE]), DECENT, QUALITY)
    return positive, terms(look.negative, NEVER)


def portrait_prompts(look: Look) -> tuple[str, str]:
    """Build the prompts of a portrait; returns the positive and the negative one."""
    positive = joined(safe(look.base), safe(look.portrait), FRAMING, DECENT, QUALITY)
    return positive, terms(look.negative, NEVER)


def safe(prompt: str) -> str:
    """Strike out words that ask for what is not safe for work."""
    return UNSAFE.sub("", prompt)


def terms(*prompts: str) -> str:
    """Join lists of terms, each term once."""
    return joined(*(term for prompt in prompts for term in prompt.split(",")))


def joined(*parts: str) -> str:
    """Join prompt parts with commas, each once, on one line."""
    flat = (" ".join(part.split()).strip(",. ") for part in parts)
    return ", ".join(part for part in dict.fromkeys(flat) if part)

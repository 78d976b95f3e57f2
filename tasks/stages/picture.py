"""Picture prompts: the scene, the character's fixed look, and what must never be seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NEVER = "nudity, gore, minors, text, watermark, logo, extra fingers, deformed hands"
QUALITY = "natural light, candid photograph, detailed"
LONGEST_LOOK = 300


@dataclass(frozen=True, kw_only=True)
class Look:
    """A character's visual profile, as far as pictures need it."""

    base: str
    portrait: str
    negative: str


def look_of(card: Mapping[str, Any]) -> Look:
    """Read a card's visual profile; a foreign card's look is its description."""
    data = card["data"]
    visual = data.get("extensions", {}).get("castline", {}).get("visual_profile", {})
    described = " ".join(str(data.get("description", "")).split())[:LONGEST_LOOK]
    base = visual.get("base_prompt") or described or data["name"]
    return Look(
        base=base,
        portrait=visual.get("portrait_prompt") or f"portrait of {base}",
        negative=visual.get("negative_prompt", ""),
    )


def picture_prompt(scene: str, look: Look) -> tuple[str, str]:
    """Join a scene with a look; returns the positive and the negative prompt."""
    return joined(scene, look.base, QUALITY), joined(look.negative, NEVER)


def portrait_prompts(look: Look) -> tuple[str, str]:
    """Build the prompts of a portrait; returns the positive and the negative one."""
    positive = joined(look.portrait, look.base, "head and shoulders, looking at the camera")
    return positive, joined(look.negative, NEVER)


def joined(*parts: str) -> str:
    """Join prompt parts with commas, each once."""
    unique = dict.fromkeys(part.strip().strip(",. ") for part in parts)
    return ", ".join(part for part in unique if part)

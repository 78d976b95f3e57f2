"""Merges a character's seven documents into one Character Card V2; no model is asked."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from tasks.errors import BadInputError
from tasks.schemas.calls import CallUsage
from tasks.schemas.card import valid_card
from tasks.schemas.documents import (
    AuthenticityDocument,
    CoreDocument,
    ExamplesDocument,
    KnowledgeDocument,
    SocialDocument,
    StrategyDocument,
    VisualDocument,
)
from tasks.stages.book import book
from tasks.stages.card_texts import card_texts
from tasks.stages.registry import STAGES

VERSION = "1"
OWN_CORE = {
    "age", "gender", "occupation", "city", "tagline", "backstory", "speaking_style", "values",
    "flaws", "interests", "goals",
}  # fmt: skip
D = TypeVar("D", bound=BaseModel)


def assemble(
    documents: Mapping[str, BaseModel],
    *,
    run_id: str,
    language: str,
    usage_by_stage: Mapping[str, CallUsage],
) -> dict[str, Any]:
    """Build the card; what V2 has no field for goes under `extensions.castline`.

    The same documents give the same card. Raises BadInputError when a document is missing.
    """
    core = part(documents, "core", CoreDocument)
    lived = part(documents, "authenticity", AuthenticityDocument)
    own = {
        **parts_of_life(documents),
        "provenance": provenance(documents, run_id, language, usage_by_stage),
        "cost": sum(usage_by_stage.values(), CallUsage()).model_dump(
            mode="json", exclude={"model"}
        ),
    }
    data = {
        **card_texts(core, lived, language),
        "creator": "Castline",
        "character_version": VERSION,
        "extensions": {"castline": own},
        "character_book": book(core.name, part(documents, "knowledge", KnowledgeDocument)),
    }
    return valid_card({"spec": "chara_card_v2", "spec_version": "2.0", "data": data})


def part(documents: Mapping[str, BaseModel], name: str, kind: type[D]) -> D:
    """Pick one document. Raises BadInputError when it is missing."""
    document = documents.get(name)
    if not isinstance(document, kind):
        raise BadInputError(f"the card needs the document of stage {name!r}")
    return document


def parts_of_life(documents: Mapping[str, BaseModel]) -> dict[str, Any]:
    """Collect what the character is made of and V2 has no field for."""
    core = part(documents, "core", CoreDocument)
    examples = part(documents, "examples", ExamplesDocument)
    whole = {
        "strategy": part(documents, "strategy", StrategyDocument),
        "social_network": part(documents, "social", SocialDocument),
        "authenticity": part(documents, "authenticity", AuthenticityDocument),
        "visual_profile": part(documents, "visual", VisualDocument),
    }
    return {
        "core": core.model_dump(mode="json", include=OWN_CORE),
        **{name: document.model_dump(mode="json") for name, document in whole.items()},
        "example_tweets": examples.model_dump(mode="json")["tweets"],
    }


def provenance(
    documents: Mapping[str, BaseModel],
    run_id: str,
    language: str,
    usage_by_stage: Mapping[str, CallUsage],
) -> dict[str, Any]:
    """Tell who made the card, with which models and which versions of the prompts."""
    return {
        "generator": "Castline",
        "ai_generated": True,
        "fictional_adult": True,
        "run_id": run_id,
        "language": language,
        "models": sorted({usage.model for usage in usage_by_stage.values() if usage.model}),
        "prompt_versions": {name: STAGES[name].version for name in STAGES if name in documents},
    }

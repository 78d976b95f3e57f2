"""Every stage that asks a model, by name."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tasks.stages import (
    authenticity,
    calendar,
    core,
    examples,
    knowledge,
    social,
    strategy,
    tweet,
    visual,
)
from tasks.stages.stage import Stage

STAGES: Mapping[str, Stage] = {
    module.STAGE.name: module.STAGE
    for module in (
        core,
        strategy,
        examples,
        social,
        authenticity,
        visual,
        knowledge,
        calendar,
        tweet,
    )
}


def document_of(stage: str, payload: Mapping[str, Any]) -> BaseModel:
    """Read a stored document as its type. Raises pydantic's ValidationError."""
    return STAGES[stage].document.model_validate(payload)

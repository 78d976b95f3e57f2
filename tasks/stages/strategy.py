"""Stage 2: how the character tweets."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, StrategyDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for the strategy."""
    core = inputs.document("core", CoreDocument)
    task = (
        "Plan how this character tweets: themes that follow from their life, a tone that is "
        "theirs alone, a rhythm that fits their days, formats, and what they would never post."
    )
    return conversation(inputs.language, "You plan voices for social media.", task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> StrategyDocument:
    """Write the strategy: one call."""
    return await ask(
        StructuredCall(
            name="strategy", messages=prompt(inputs), reply=StrategyDocument, max_tokens=2000
        )
    )


STAGE = Stage(name="strategy", version="1", reads=("core",), document=StrategyDocument, write=write)

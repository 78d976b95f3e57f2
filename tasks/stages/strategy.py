"""Stage 2: how the character tweets."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, StrategyDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet

ROLE = "You find out how invented people would use a social network if they were real."


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for the strategy."""
    task = (
        "Decide how the character below tweets. Follow from their life, not from marketing:\n"
        "- themes: what they cannot help talking about, each narrow enough to recognise them by;\n"
        "- tone: theirs alone, with what it hides;\n"
        "- rhythm: the hours and days that fit their work and sleep;\n"
        "- formats: the shapes of their tweets (an overheard line, a tiny report, a list of "
        "three, a question to nobody);\n"
        "- what they never post, and how they use hashtags (most people: rarely, or never)."
    )
    core = inputs.document("core", CoreDocument)
    return conversation(inputs.language, ROLE, task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> StrategyDocument:
    """Write the strategy: one call."""
    return await ask(
        StructuredCall(
            name="strategy", messages=prompt(inputs), reply=StrategyDocument, max_tokens=2500
        )
    )


STAGE = Stage(name="strategy", version="1", reads=("core",), document=StrategyDocument, write=write)

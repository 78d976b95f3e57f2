"""Stage 5: what makes the character feel lived in."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import AuthenticityDocument, CoreDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for routine, quirks, contradictions, memories, moods, typing habits."""
    core = inputs.document("core", CoreDocument)
    task = (
        "Make this character feel lived in: an ordinary day with hours, quirks that can be seen "
        "or heard, real contradictions, memories that come back, and how exactly they type."
    )
    return conversation(inputs.language, "You know people well.", task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> AuthenticityDocument:
    """Write the authenticity layer: one call."""
    return await ask(
        StructuredCall(
            name="authenticity",
            messages=prompt(inputs),
            reply=AuthenticityDocument,
            max_tokens=2500,
        )
    )


STAGE = Stage(
    name="authenticity", version="1", reads=("core",), document=AuthenticityDocument, write=write
)

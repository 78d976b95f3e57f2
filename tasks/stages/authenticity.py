"""Stage 5: what makes the character feel lived in."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import AuthenticityDocument, CoreDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet

ROLE = "You observe people closely and miss no habit."


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for routine, quirks, contradictions, memories, moods, typing habits."""
    task = (
        "Make the character below feel lived in:\n"
        "- an ordinary day with hours, places and the same small annoyance every day;\n"
        "- quirks that one could film or record;\n"
        "- contradictions that they would deny, and that cost them something;\n"
        "- memories with a smell, a sound or an object in them, to come back to;\n"
        "- what lifts and what lowers their mood, and how one notices;\n"
        "- how exactly they type: capitals, punctuation, emoji, length, slips, hours."
    )
    core = inputs.document("core", CoreDocument)
    return conversation(inputs.language, ROLE, task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> AuthenticityDocument:
    """Write the authenticity layer: one call."""
    return await ask(
        StructuredCall(
            name="authenticity",
            messages=prompt(inputs),
            reply=AuthenticityDocument,
            max_tokens=3000,
        )
    )


STAGE = Stage(
    name="authenticity", version="1", reads=("core",), document=AuthenticityDocument, write=write
)

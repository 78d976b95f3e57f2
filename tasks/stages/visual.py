"""Stage 6: how the character looks, the same in every picture."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, VisualDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for the visual profile, after the user's picture when there is one."""
    core = inputs.document("core", CoreDocument)
    like = (
        " Follow the picture: the character must look like that." if inputs.image_data_url else ""
    )
    task = (
        "Fix how this character looks, so that every picture shows the same person: hair, eyes, "
        "build, clothes, colours, things always with them. All in English, safe for work, an "
        f"adult. The base prompt names age and looks in one dense line.{like}"
    )
    system, user = conversation(inputs.language, "You are a character designer.", task, sheet(core))
    return (system, user.model_copy(update={"image": inputs.image_data_url}))


async def write(inputs: StageInputs, ask: Ask) -> VisualDocument:
    """Write the visual profile: one call."""
    return await ask(
        StructuredCall(
            name="visual",
            messages=prompt(inputs),
            reply=VisualDocument,
            temperature=0.6,
            max_tokens=2000,
        )
    )


STAGE = Stage(name="visual", version="1", reads=("core",), document=VisualDocument, write=write)

"""Stage 6: how the character looks, the same in every picture; in English in every language."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, VisualDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet

ROLE = "You are a character designer who writes for image models."


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for the visual profile, after the user's picture when there is one."""
    task = (
        "Fix how the character below looks, so that every picture shows the same person. All "
        "values in English, whatever the language of the material. An image model reads them: "
        "visible things only, no names, no feelings without a face, no words in the picture.\n"
        "- The base prompt is one dense line that starts with age and person ('a 43-year-old "
        "woman, …') and can stand before any scene: no place, no pose, no light in it.\n"
        "- Hair, eyes and one signature item are distinctive enough to recognise them by.\n"
        "- Clothes are everyday clothes of an adult, modest, safe for work."
    )
    like = (
        "Follow the picture: hair, colours, clothes and age as in it."
        if inputs.image_data_url
        else ""
    )
    core = inputs.document("core", CoreDocument)
    system, user = conversation("en", ROLE, task, like, sheet(core))
    return (system, user.model_copy(update={"image": inputs.image_data_url}))


async def write(inputs: StageInputs, ask: Ask) -> VisualDocument:
    """Write the visual profile: one call."""
    return await ask(
        StructuredCall(
            name="visual",
            messages=prompt(inputs),
            reply=VisualDocument,
            temperature=0.6,
            max_tokens=2500,
        )
    )


STAGE = Stage(name="visual", version="1", reads=("core",), document=VisualDocument, write=write)

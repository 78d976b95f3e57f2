"""Stage 1: who the character is, from a brief, a picture, or both."""

from tasks.errors import BadInputError
from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, Observation
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation

ROLE = "You are the lead writer who creates the core of a new character."


def observation_prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask what the picture shows. Raises BadInputError without a picture."""
    if inputs.image_data_url is None:
        raise BadInputError("there is no picture to look at")
    look = (
        "Describe the adult in this picture as raw material for a fictional character. Say only "
        "what is visible. Do not identify anybody, do not guess a real name."
    )
    system, user = conversation(inputs.language, ROLE, look)
    return (system, user.model_copy(update={"image": inputs.image_data_url}))


def persona_prompt(inputs: StageInputs, seen: Observation | None) -> tuple[Message, ...]:
    """Ask for the core."""
    source = inputs.source
    brief = f"Brief:\n{source.text}" if source.text else ""
    look = (
        f"The character looks like this. Appearance: {seen.appearance} Clothing: {seen.clothing} "
        f"Setting: {seen.setting} Mood: {seen.mood}"
        if seen
        else ""
    )
    several = (
        f"This is character {source.variant} of {source.variants} from the same material. Make "
        "this one clearly different from the others in name, age, life and voice."
        if source.variants > 1
        else ""
    )
    taken = f"taken-names: {', '.join(inputs.taken_names)}" if inputs.taken_names else ""
    task = (
        "Create the character's core. Give first and last name. Use {{char}} and {{user}} in "
        "example dialogues. The first message must start a conversation by itself."
    )
    return conversation(inputs.language, ROLE, task, brief, look, several, taken)


async def write(inputs: StageInputs, ask: Ask) -> CoreDocument:
    """Write the core: one call, or two when there is a picture to look at first."""
    seen = None
    if inputs.image_data_url is not None:
        seen = await ask(
            StructuredCall(
                name="core.observe",
                messages=observation_prompt(inputs),
                reply=Observation,
                temperature=0.3,
                max_tokens=1200,
            )
        )
    return await ask(
        StructuredCall(
            name="core.persona",
            messages=persona_prompt(inputs, seen),
            reply=CoreDocument,
            temperature=0.9,
            max_tokens=4000,
        )
    )


STAGE = Stage(name="core", version="1", reads=(), document=CoreDocument, write=write)

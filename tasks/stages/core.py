"""Stage 1: who the character is, from a brief, a picture, or both."""

from tasks.errors import BadInputError
from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, Observation
from tasks.schemas.plan import Source
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation

ROLE = "You are the lead writer who creates the core of a new character."
OBSERVER = "You are an illustrator who describes reference pictures."

# One for each character of the same brief, in turn, so that they differ in more than the name.
DIRECTIONS = (
    "the reading that comes to mind first, told with an unexpected detail",
    "another generation, and a life that took a turn halfway",
    "another temperament: what the first one would say, this one keeps to themselves, or laughs at",
    "another origin and social world, another reason to do the same thing",
    "a beginner or a latecomer where one would expect a master, or the other way round",
    "somebody whose private passion contradicts the brief on the surface",
)


def observation_prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask what the picture shows. Raises BadInputError without a picture."""
    if inputs.image_data_url is None:
        raise BadInputError("there is no picture to look at")
    task = (
        "Describe this picture as raw material for a fictional adult. Say only what can be seen: "
        "looks, clothes, place, light, mood. Do not identify anybody, do not guess a name, an "
        "origin or a story. If nobody is visible, describe the adult who would live in the scene. "
        "If somebody looks younger than 21, describe an adult of 25 with the same colours and "
        "clothes."
    )
    system, user = conversation("en", OBSERVER, task)
    return (system, user.model_copy(update={"image": inputs.image_data_url}))


def persona_prompt(inputs: StageInputs, seen: Observation | None) -> tuple[Message, ...]:
    """Ask for the core."""
    task = (
        "Create a character from the material below. What it says, holds; what it leaves open, "
        "invent. A good core\n"
        "- has a first and last name that fits place and generation and is not the first that "
        "comes to mind,\n"
        "- gives them one thing they want, one that stands in the way, and a flaw that costs "
        "them something,\n"
        "- lets one hear the voice: the first message starts a conversation by itself, in the "
        "middle of a moment, and ends so that one wants to answer,\n"
        "- shows in the example exchanges what they say and what they avoid saying.\n"
        "In messages write {{user}} for the other person and {{char}} for the character's own "
        "name."
    )
    return conversation(
        inputs.language,
        ROLE,
        task,
        f"Brief:\n{inputs.source.text}" if inputs.source.text else "",
        look(seen) if seen else "",
        direction(inputs.source),
        taken(inputs.taken_names),
    )


def look(seen: Observation) -> str:
    """Tell what the picture shows."""
    return (
        "The character comes from a picture. Let age, work and life fit what it shows.\n"
        f"Appearance: {seen.appearance}\nClothing: {seen.clothing}\n"
        f"Setting: {seen.setting}\nMood: {seen.mood}"
    )


def direction(source: Source) -> str:
    """Push the characters of one brief apart; "" when there is only one."""
    if source.variants < 2:
        return ""
    way = DIRECTIONS[(source.variant - 1) % len(DIRECTIONS)]
    return (
        f"Several characters are made from this material; this is number {source.variant} of "
        f"{source.variants}. Take this direction: {way}. Name, age, life and voice must differ "
        "clearly from what another writer would make of the same material."
    )


def taken(names: tuple[str, ...]) -> str:
    """Name the names that the character must not have; "" when there are none."""
    if not names:
        return ""
    return f"These names belong to others; choose another one.\ntaken-names: {', '.join(names)}"


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
                max_tokens=2500,
                cache=True,  # all characters of one picture start from the same description
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

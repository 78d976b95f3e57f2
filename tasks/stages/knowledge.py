"""Stage 7: the character book, three subjects in three calls side by side."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import BookPart, CoreDocument, KnowledgeDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.together import together
from tasks.stages.wording import conversation, sheet

ROLE = "You keep the book of facts about a character."
SUBJECTS = {
    "places": "places of their life: home, work, where they go to think, where they will not go",
    "people": "people and events of their past that somebody may ask about",
    "expertise": "what they know well, how they do it, and the opinions they defend",
}


def prompt(inputs: StageInputs, subject: str) -> tuple[Message, ...]:
    """Ask for the entries of one subject."""
    task = (
        f"Write two to four entries of the book, about {SUBJECTS[subject]}. Each entry has\n"
        "- keys: one to five words or short names that would come up in a conversation about "
        "it, specific enough not to come up by accident;\n"
        "- content: facts in two or three sentences in the third person, with {{char}} for the "
        "character's name. Nothing that contradicts the sheet, nothing that merely repeats it."
    )
    core = inputs.document("core", CoreDocument)
    return conversation(inputs.language, ROLE, task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> KnowledgeDocument:
    """Write the character book: three calls at once."""
    places, people, expertise = await together(
        ask(
            StructuredCall(
                name=f"knowledge.{subject}",
                messages=prompt(inputs, subject),
                reply=BookPart,
                max_tokens=2500,
            )
        )
        for subject in SUBJECTS
    )
    return KnowledgeDocument(
        places=places.entries, people=people.entries, expertise=expertise.entries
    )


STAGE = Stage(
    name="knowledge",
    version="1",
    reads=("core",),
    document=KnowledgeDocument,
    write=write,
    calls=len(SUBJECTS),
)

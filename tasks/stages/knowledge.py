"""Stage 7: the character book, three subjects in three calls side by side."""

import asyncio

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import BookPart, CoreDocument, KnowledgeDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet

SUBJECTS = {
    "places": "places of their life: home, work, where they go to think",
    "people": "people and events of their past that others may ask about",
    "expertise": "what they know well and what they think about it",
}


def prompt(inputs: StageInputs, subject: str) -> tuple[Message, ...]:
    """Ask for the entries of one subject."""
    core = inputs.document("core", CoreDocument)
    task = (
        f"Write two to four entries of this character's book, about {SUBJECTS[subject]}. Keys are "
        "words that come up in conversation; contents are facts, told in two or three sentences."
    )
    return conversation(inputs.language, "You keep the character's book.", task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> KnowledgeDocument:
    """Write the character book: three calls at once."""
    places, people, expertise = await asyncio.gather(
        *(
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
    )
    return KnowledgeDocument(
        places=places.entries, people=people.entries, expertise=expertise.entries
    )


STAGE = Stage(
    name="knowledge", version="1", reads=("core",), document=KnowledgeDocument, write=write
)

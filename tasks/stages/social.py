"""Stage 4: the people around the character, close and online, two calls side by side."""

import asyncio

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, Relations, SocialDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.wording import conversation, sheet

CIRCLES = {
    "close": "the two to four people closest to them: family, friends, somebody from work",
    "online": "two to four fictional accounts they talk with online: a regular, a rival, a fan",
}


def prompt(inputs: StageInputs, circle: str) -> tuple[Message, ...]:
    """Ask for one circle."""
    core = inputs.document("core", CoreDocument)
    task = f"Invent {CIRCLES[circle]}. Each has an own name and a story with the character."
    return conversation(inputs.language, "You invent the people around.", task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> SocialDocument:
    """Write the social network: two calls at once."""
    close, online = await asyncio.gather(
        *(
            ask(
                StructuredCall(
                    name=f"social.{circle}",
                    messages=prompt(inputs, circle),
                    reply=Relations,
                    max_tokens=2000,
                )
            )
            for circle in CIRCLES
        )
    )
    return SocialDocument(close=close.people, online=online.people)


STAGE = Stage(name="social", version="1", reads=("core",), document=SocialDocument, write=write)

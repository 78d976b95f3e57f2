"""Stage 4: the people around the character, close and online, two calls side by side."""

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import CoreDocument, Relations, SocialDocument
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.together import together
from tasks.stages.wording import conversation, sheet

ROLE = "You invent the people around a character."
CIRCLES = {
    "close": "the two to four people closest to them: family, an old friend, somebody from work",
    "online": "two to four people they know only online: a regular, a rival, an unlikely fan. "
    "Each name may be a handle",
}


def prompt(inputs: StageInputs, circle: str) -> tuple[Message, ...]:
    """Ask for one circle."""
    task = (
        f"Invent {CIRCLES[circle]}. All are fictional adults with names of their own. Each story "
        "holds a scene that the two of them remember, and something unsettled between them; no "
        "two of these relations have the same temperature."
    )
    core = inputs.document("core", CoreDocument)
    return conversation(inputs.language, ROLE, task, sheet(core))


async def write(inputs: StageInputs, ask: Ask) -> SocialDocument:
    """Write the social network: two calls at once."""
    close, online = await together(
        ask(
            StructuredCall(
                name=f"social.{circle}",
                messages=prompt(inputs, circle),
                reply=Relations,
                temperature=0.9,
                max_tokens=2500,
            )
        )
        for circle in CIRCLES
    )
    return SocialDocument(close=close.people, online=online.people)


STAGE = Stage(
    name="social",
    version="1",
    reads=("core",),
    document=SocialDocument,
    write=write,
    calls=len(CIRCLES),
)

"""One tweet of one day, in the character's voice, with the prompt of its picture."""

import json
from collections.abc import Mapping
from typing import Any

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import TweetDocument, TweetReply
from tasks.stages.calendar import card_sheet
from tasks.stages.picture import look_of, picture_prompt
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.tweet_length import LIMIT, shorten, tweet_length
from tasks.stages.wording import conversation


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for one tweet."""
    task = (
        "Write one tweet as this character, in first person, at most 280 characters as X counts "
        "them (a Chinese character counts two). It must sound like them and nobody else, be about "
        "this day, and stand on its own. Then describe its picture in English: one scene, the "
        "character in it, nothing written in the picture."
    )
    day = f"Day {inputs.slot}, {inputs.date}: {json.dumps(dict(inputs.day), ensure_ascii=False)}"
    return conversation(
        inputs.language, "You are the character.", task, card_sheet(inputs.card),
        voice(inputs.card), day,
    )  # fmt: skip


def voice(card: Mapping[str, Any]) -> str:
    """Show how the character writes: its example tweets, its typing habits."""
    own = card["data"].get("extensions", {}).get("castline", {})
    examples = [tweet["text"] for tweet in own.get("example_tweets", [])][:4]
    habits = own.get("authenticity", {}).get("typing_habits", "")
    lines = [f"- {example}" for example in examples]
    if lines:
        lines.insert(0, "Tweets they wrote before:")
    if habits:
        lines.append(f"How they type: {habits}")
    return "\n".join(lines)


async def write(inputs: StageInputs, ask: Ask) -> TweetDocument:
    """Write the tweet; asks once more when it is too long, then shortens."""
    messages = prompt(inputs)
    reply = await ask(call("tweet", messages))
    length = tweet_length(reply.text)
    if length > LIMIT:
        complaint = f"This has {length} characters as X counts: {reply.text}\nAt most 260, please."
        reply = await ask(
            call("tweet.shorter", (*messages, Message(role="user", content=complaint)))
        )
    text = shorten(reply.text.strip())
    look = look_of(inputs.card)
    positive, negative = picture_prompt(reply.image_prompt, look)
    return TweetDocument(
        slot=inputs.slot,
        date=inputs.date,
        text=text,
        image_prompt=positive,
        negative_prompt=negative,
        length=tweet_length(text),
        shortened=text != reply.text.strip(),
    )


def call(name: str, messages: tuple[Message, ...]) -> StructuredCall[TweetReply]:
    """Build the call."""
    return StructuredCall(
        name=name, messages=messages, reply=TweetReply, temperature=1.0, max_tokens=800
    )


STAGE = Stage(name="tweet", version="1", reads=(), document=TweetDocument, write=write)

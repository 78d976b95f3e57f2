"""One tweet of one day, in the character's voice, with the prompt of its picture."""

import json
from datetime import date
from typing import Any

from tasks.schemas.calls import Ask, Message, StructuredCall
from tasks.schemas.documents import TweetDocument, TweetReply
from tasks.stages.card_sheet import card_sheet, facts, named, voice
from tasks.stages.picture import look_of, picture_prompt
from tasks.stages.stage import Stage, StageInputs
from tasks.stages.tweet_length import LIMIT, shorten, tweet_length
from tasks.stages.wording import conversation, lines

ROLE = "You are the character, alone with a phone."
YOU = {"en": "you", "zh": "你"}
QUOTES = {'"': '"', "“": "”", "「": "」", "'": "'", "‘": "’"}


def prompt(inputs: StageInputs) -> tuple[Message, ...]:
    """Ask for one tweet."""
    task = (
        "Write one tweet as the character below, and describe the picture that goes with it.\n"
        "The tweet\n"
        "- is first person, in their voice, at most 240 characters (120 in Chinese);\n"
        "- comes from this day's plan without retelling it, and stands on its own;\n"
        "- starts in the middle of the moment and holds one detail nobody else would write;\n"
        "- has no quotation marks around it, no explanation, and hashtags or emoji only if they "
        "belong to how this character writes.\n"
        "The image prompt, in English, shows one scene of that moment: place, light, what they "
        "do, what lies around. Name visible things, at most 35 words; nothing written in the "
        "picture, nobody undressed or hurt. Their looks are added later: leave them out."
    )
    day = day_lines(inputs)
    return conversation(
        inputs.language,
        ROLE,
        task,
        card_sheet(inputs.card),
        voice(inputs.card),
        facts(inputs.card, day),
        f"The day's plan:\n{day}",
    )


def day_lines(inputs: StageInputs) -> str:
    """Show a day and its plan, whatever keys a user gave it."""
    plan = {str(key): plain(value) for key, value in inputs.day.items()}
    return lines({"day": weekday(inputs.date), **plan})


def plain(value: Any) -> str:
    """Show a value of a free plan."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def weekday(day: str) -> str:
    """Put the weekday before a date: `Tuesday 2026-12-01`; no date stays what it is."""
    try:
        return f"{date.fromisoformat(day):%A} {day}"
    except ValueError:
        return day


def shorter_prompt(
    messages: tuple[Message, ...], reply: TweetReply, length: int
) -> tuple[Message, ...]:
    """Ask for the same tweet in fewer characters."""
    complaint = (
        f"The tweet has {length} characters as X counts them (a Chinese character or an emoji "
        f"counts two), and at most {LIMIT} can be posted. Write it again with at most 230: drop "
        "a thought, keep the voice."
    )
    return (
        *messages,
        Message(role="assistant", content=reply.model_dump_json()),
        Message(role="user", content=complaint),
    )


async def write(inputs: StageInputs, ask: Ask) -> TweetDocument:
    """Write the tweet: one call; one more when it is too long, and if that is too, a cut."""
    messages = prompt(inputs)
    reply = await ask(call("tweet", messages))
    length = tweet_length(unquoted(reply.text))
    if length > LIMIT:
        reply = await ask(call("tweet.shorter", shorter_prompt(messages, reply, length)))
    return document(inputs, reply)


def document(inputs: StageInputs, reply: TweetReply) -> TweetDocument:
    """Build the document: the text fits, the picture's prompt is complete."""
    whole = named(inputs.card, unquoted(reply.text), other=YOU[inputs.language])
    text = shorten(whole)
    scene = named(inputs.card, reply.image_prompt)
    positive, negative = picture_prompt(scene, look_of(inputs.card))
    return TweetDocument(
        slot=inputs.slot,
        date=inputs.date,
        text=text,
        image_prompt=positive,
        negative_prompt=negative,
        length=tweet_length(text),
        shortened=tweet_length(whole) > LIMIT,
    )


def unquoted(text: str) -> str:
    """Take off the quotation marks that models like to put around a whole tweet."""
    text = text.strip()
    inner = text[1:-1]
    close = QUOTES.get(text[:1], "")
    if not close or not inner.strip() or not text.endswith(close):
        return text
    return text if text[0] in inner or close in inner else inner.strip()


def call(name: str, messages: tuple[Message, ...]) -> StructuredCall[TweetReply]:
    """Build the call."""
    return StructuredCall(
        name=name, messages=messages, reply=TweetReply, temperature=1.0, max_tokens=2000
    )


STAGE = Stage(name="tweet", version="1", reads=(), document=TweetDocument, write=write)

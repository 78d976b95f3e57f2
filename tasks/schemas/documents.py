"""The documents that the stages write; also the JSON schemas that the models are held to.

Every field is required and described, and nothing else is allowed, so the schemas are strict.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
PromptText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class Strict(BaseModel):
    """A reply or document: closed, every field required."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Observation(Strict):
    """What a picture shows of a person who is to become fictional."""

    appearance: LongText = Field(description="hair, eyes, build, skin, apparent adult age")
    clothing: LongText = Field(description="clothes and accessories")
    setting: LongText = Field(description="place, light, objects around")
    mood: ShortText = Field(description="expression and atmosphere")


class Exchange(Strict):
    """A short exchange in a chat: what a stranger says, how the character answers."""

    user: LongText = Field(description="a stranger's question or remark, without a prefix")
    character: LongText = Field(
        description="the character's answer, in voice, without a prefix, at most three sentences"
    )


class CoreDocument(Strict):
    """Who the character is."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] = (
        Field(description="first and last name")
    )
    age: int = Field(ge=21, le=99, description="age in years, an adult")
    gender: ShortText = Field(description="gender as the character would say it")
    occupation: ShortText = Field(description="what they do for a living")
    city: ShortText = Field(description="where they live")
    tagline: ShortText = Field(description="one line that makes people want to follow them")
    backstory: LongText = Field(description="life so far, three to five sentences")
    personality: LongText = Field(description="character in three to five sentences")
    speaking_style: LongText = Field(
        description="how they talk: rhythm, vocabulary, what they leave unsaid"
    )
    values: list[ShortText] = Field(min_length=2, max_length=6, description="what matters")
    flaws: list[ShortText] = Field(min_length=1, max_length=5, description="human weaknesses")
    interests: list[ShortText] = Field(min_length=3, max_length=8, description="hobbies")
    goals: list[ShortText] = Field(min_length=1, max_length=5, description="what they want")
    scenario: LongText = Field(description="the situation in which one meets them")
    first_message: LongText = Field(
        description="greeting: their first message to {{user}}, in voice, two to four sentences"
    )
    alternate_greetings: list[LongText] = Field(
        min_length=2,
        max_length=2,
        description="two other first messages, in other moods and situations",
    )
    example_dialogues: list[Exchange] = Field(
        min_length=2, max_length=3, description="exchanges that show how they talk"
    )
    tags: list[ShortText] = Field(min_length=3, max_length=8, description="one-word tags")


class StrategyDocument(Strict):
    """How the character tweets."""

    themes: list[ShortText] = Field(min_length=3, max_length=6, description="recurring themes")
    tone: ShortText = Field(description="tone of the tweets")
    rhythm: ShortText = Field(description="when and how often they post")
    formats: list[ShortText] = Field(
        min_length=2, max_length=6, description="shapes of what they write"
    )
    hashtags: ShortText = Field(description="how they use hashtags, if at all")
    avoids: list[ShortText] = Field(min_length=1, max_length=6, description="what they never post")


class ExampleTweet(Strict):
    """One example tweet."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=280)] = (
        Field(description="a tweet in first person")
    )
    mood: ShortText = Field(description="mood of the tweet")


class ExampleTweets(Strict):
    """Half of the examples: one call."""

    tweets: list[ExampleTweet] = Field(min_length=4, max_length=4, description="four tweets")


class ExamplesDocument(Strict):
    """Eight tweets that show the voice."""

    tweets: list[ExampleTweet] = Field(min_length=8, max_length=8)


class Relation(Strict):
    """Somebody in the character's life; fictional too."""

    name: ShortText = Field(description="a fictional person's name")
    relation: ShortText = Field(description="what they are to the character")
    story: LongText = Field(description="two sentences about the two of them")


class Relations(Strict):
    """One circle of people: one call."""

    people: list[Relation] = Field(min_length=2, max_length=4, description="people")


class SocialDocument(Strict):
    """The people around the character."""

    close: list[Relation] = Field(min_length=2, max_length=4)
    online: list[Relation] = Field(min_length=2, max_length=4)


class AuthenticityDocument(Strict):
    """What makes the character feel lived in."""

    daily_routine: LongText = Field(description="an ordinary day, with hours and places")
    quirks: list[ShortText] = Field(min_length=2, max_length=5, description="small habits")
    contradictions: list[ShortText] = Field(min_length=1, max_length=3, description="tensions")
    memories: list[ShortText] = Field(min_length=2, max_length=5, description="things recalled")
    mood_patterns: LongText = Field(description="what lifts and what lowers their mood")
    typing_habits: LongText = Field(description="punctuation, capitals, emoji, typical slips")


class VisualDocument(Strict):
    """How the character looks, always the same in every picture."""

    hair: ShortText = Field(description="hair, in English")
    eyes: ShortText = Field(description="eyes, in English")
    build: ShortText = Field(description="build and height, in English")
    clothing_style: ShortText = Field(description="usual clothes, in English")
    palette: list[ShortText] = Field(min_length=2, max_length=5, description="colours, in English")
    signature_items: list[ShortText] = Field(
        min_length=1, max_length=4, description="things always with them, in English"
    )
    setting: ShortText = Field(description="the place where one would find them, in English")
    base_prompt: PromptText = Field(
        description="image prompt in English, at most 40 words, that fixes the person in every "
        "picture: adult age, build, skin, hair, eyes, clothes, one signature item"
    )
    portrait_prompt: PromptText = Field(
        description="image prompt in English, at most 30 words, for their portrait: expression, "
        "pose, place, light"
    )
    negative_prompt: PromptText = Field(
        description="negative prompt in English, at most 15 words: what would make them another"
    )


class BookEntry(Strict):
    """One entry of the character book."""

    keys: list[ShortText] = Field(min_length=1, max_length=5, description="words that call it up")
    content: LongText = Field(description="what is known, two or three sentences")


class BookPart(Strict):
    """One subject of the character book: one call."""

    entries: list[BookEntry] = Field(min_length=2, max_length=4, description="entries")


class KnowledgeDocument(Strict):
    """The character book."""

    places: list[BookEntry] = Field(min_length=2, max_length=4)
    people: list[BookEntry] = Field(min_length=2, max_length=4)
    expertise: list[BookEntry] = Field(min_length=2, max_length=4)


class DayPlan(Strict):
    """One planned day."""

    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="the day, YYYY-MM-DD")
    topic: ShortText = Field(description="what the day's tweet is about")
    mood: ShortText = Field(description="the character's mood")
    activity: ShortText = Field(description="what they are doing")
    time_of_day: ShortText = Field(description="when they post")
    weather: ShortText = Field(description="the weather there")
    hook: ShortText = Field(description="a phrase to start from, concrete, in their words")
    image_idea: ShortText = Field(description="what a picture would show, in English")


class DayPlans(Strict):
    """Some days of a calendar: one call."""

    days: list[DayPlan] = Field(min_length=1, max_length=10, description="one entry for each day")


class CalendarDocument(Strict):
    """A calendar; plans are free, since users bring their own."""

    calendar: dict[str, dict[str, Any]]


class TweetReply(Strict):
    """What the model writes for one tweet."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)] = (
        Field(description="the tweet alone, first person, at most 280 characters")
    )
    image_prompt: PromptText = Field(
        description="image prompt in English, at most 35 words: the scene of the tweet's picture"
    )


class TweetDocument(Strict):
    """One tweet; `length` as X counts it, `image_prompt` complete with the character's look."""

    slot: int
    date: str
    text: str
    image_prompt: str
    negative_prompt: str
    length: int
    shortened: bool

"""What a property is about, judged by its name, its surroundings and its description.

The answer is the name of a grammar rule, or one of `name`, `given_name`, `surname`, `date`,
`clock`, `uri`, `email`, `digits`, which `prose.py` makes without a grammar.
"""

import re
from functools import lru_cache
from typing import NamedTuple

FALLBACK = "statement"

# rule: the words, singular, that name it in a schema
_WORDS: dict[str, str] = {
    "name": "name character_name full_name fullname person author speaker persona who",
    "given_name": "given_name first_name firstname forename",
    "surname": "surname last_name lastname family_name",
    "nickname": "nickname alias pet_name",
    "handle": "handle username user_name screen_name account",
    "occupation": "occupation job profession role career work employment job_title position",
    "city": "city town hometown home_town village home residence",
    "country": "country nation region",
    "street": "street address",
    "place": "place location spot venue setting scene_location where hangout",
    "mood": "mood feeling emotion emotional_state sentiment state_of_mind vibe",
    "weather": "weather climate forecast",
    "season": "season",
    "time": "time_of_day timing moment daypart",
    "clock": "time hour_of_day posting_time clock start_time end_time",
    "date": "date day birthday birthdate date_of_birth deadline calendar_date",
    "colour": "colour color",
    "palette": "palette color_palette colour_palette",
    "trait": "trait temperament adjective characteristic disposition virtue attribute",
    "value": "value principle belief conviction",
    "fear": "fear emotional_trigger worry anxiety insecurity",
    "goal": "goal dream ambition motivation aim desire wish objective aspiration",
    "secret": "secret",
    "quirk": "quirk mannerism oddity peculiarity",
    "habit": "habit routine ritual daily_routine",
    "strength": "strength talent",
    "weakness": "weakness contradiction flaw vice limitation blind_spot",
    "phrase": "catchphrase phrase motto saying quote slogan expression tagline signature_phrase",
    "voice": "voice interaction_style communication_style conversation_style"
    " speech speech_style speaking_style writing_style tone tone_of_voice"
    " language_style diction speech_pattern register style_of_speech",
    "skill": "skill ability expertise competence",
    "hobby": "hobby interest pastime passion leisure like",
    "activity": "activity action doing pursuit what",
    "event": "event occasion happening plan appointment theme agenda special_event holiday",
    "food": "food dish meal favorite_food favourite_food snack breakfast lunch dinner",
    "drink": "drink beverage",
    "music": "music song band genre",
    "book": "book novel film movie",
    "pet": "pet animal",
    "object": "object item prop possession belonging thing tool accessory",
    "hair": "hair hair_color hair_colour hairstyle hair_style haircut",
    "eyes": "eye eyes eye_color eye_colour",
    "build": "build body body_type physique height stature figure posture",
    "feature": "feature distinguishing_feature face mark skin complexion skin_tone tattoo scar",
    "outfit": "outfit clothing clothes attire dress wardrobe fashion clothing_style costume wear",
    "look": "look appearance physical_appearance visual visual_description visual_profile looks",
    "style": "style art_style visual_style aesthetic photo_style image_style medium",
    "lighting": "lighting light",
    "camera": "camera shot composition framing angle perspective lens",
    "scene": "scene scenery background scene_description backdrop visual_scene",
    "image_prompt": "image_prompt picture_prompt prompt visual_prompt image_description"
    " photo_prompt base_prompt positive_prompt picture image photo portrait_prompt"
    " appearance_prompt scene_prompt",
    "negative_prompt": "negative_prompt negative",
    "tweet": "tweet post status_update microblog status_text example_tweet sample_tweet retweet",
    "hashtag": "hashtag",
    "greeting": "first_mes first_message greeting alternate_greeting opening opening_line welcome"
    " salutation opener",
    "example_dialogue": "mes_example example_dialogue dialogue_example example_message"
    " sample_dialogue example_conversation dialogue conversation",
    "scenario": "scenario situation premise circumstance",
    "personality": "personality persona_summary character_summary nature",
    "description": "description profile about overview portrait character_description introduction",
    "story": "backstory biography life_story history past origin childhood upbringing story"
    " background_story education",
    "bio": "bio short_bio profile_text tagline_bio",
    "relation": "relation relationship_type connection_type kind_of_relation",
    "relationship": "relationship how_they_met met influence"
    " bond friendship connection dynamic interaction",
    "lore": "lore fact content entry knowledge detail anecdote world trivia background_fact",
    "memory": "memory experience milestone formative_event turning_point",
    "strategy": "strategy content_strategy approach plan_summary method positioning",
    "pillar": "pillar content_pillar content_theme subject content_type",
    "audience": "audience follower reader target_audience target",
    "cadence": "cadence frequency posting_frequency schedule rhythm posting_schedule",
    "instruction": "system_prompt instruction post_history_instructions guideline directive",
    "rule": "rule boundary constraint taboo avoid limit do dont dos donts policy dislike never",
    "flaw_in_text": "typo imperfection authenticity human_touch irregularity verbal_tic filler",
    "note": "creator_notes note comment remark annotation caveat",
    "topic": "topic keyphrase",
    "finding": "finding insight observation evidence point key_point takeaway claim trend result"
    " snippet argument",
    "analysis": "analysis assessment evaluation report body discussion essay article review",
    "summary": "summary conclusion abstract synopsis gist verdict tldr outcome digest",
    "advice": "advice recommendation suggestion tip next_step action_item proposal",
    "question": "question query_question open_question prompt_question followup",
    "answer": "answer response",
    "opinion": "opinion view stance reply message utterance turn statement_text thought reaction"
    " critique position_statement contribution",
    "title": "title headline heading subject_line name_of_topic label",
    "caption": "caption alt alt_text subtitle",
    "source": "source reference citation publication publisher site",
    "query": "query search_query search search_term",
    "tag": "tag category",
    "key": "key keyword secondary_key trigger trigger_word secondary_keys",
    "mbti": "mbti personality_type mbti_type",
    "word": "word token term codename slug code identifier",
    "platform": "platform community channel network app",
    "language": "language mother_tongue native_language",
    "gender": "gender sex",
    "pronoun": "pronoun",
    "uri": "url uri link website homepage avatar",
    "email": "email mail email_address",
    "digits": "phone phone_number zip postcode",
    "paragraph": "paragraph text narrative passage explanation reasoning rationale reason why"
    " justification context",
}
_BY_WORD: dict[str, str] = {word: rule for rule, words in _WORDS.items() for word in words.split()}

# The order decides: what names a text's whole purpose stands before what it may merely mention.
_CHINESE: tuple[tuple[str, str], ...] = (
    ("推文", "tweet"),
    ("开场白", "greeting"),
    ("画面", "image_prompt"),
    ("姓名", "name"),
    ("名字", "name"),
    ("职业", "occupation"),
    ("城市", "city"),
    ("天气", "weather"),
    ("心情", "mood"),
    ("情绪", "mood"),
    ("日期", "date"),
    ("发型", "hair"),
    ("头发", "hair"),
    ("服装", "outfit"),
    ("外貌", "look"),
    ("性格", "personality"),
    ("爱好", "hobby"),
    ("关系", "relationship"),
    ("目标", "goal"),
    ("分析", "analysis"),
    ("总结", "summary"),
    ("摘要", "summary"),
    ("标题", "title"),
    ("关键词", "key"),
    ("话题", "topic"),
    ("主题", "topic"),
    ("活动", "activity"),
    ("描述", "description"),
)

_PEOPLE = frozenset(
    {"friend", "relation", "relationship", "family", "contact", "network", "social"}
)

# A `name` (or `title`, `text`, ...) means something else when its surroundings say so.
_SURROUNDED: tuple[tuple[str, frozenset[str], str], ...] = (
    ("name", frozenset({"entry", "book", "lore", "knowledge", "lorebook"}), "caption"),
    ("name", frozenset({"place", "location", "venue", "spot", "city", "hangout"}), "place"),
    ("name", frozenset({"event", "activity", "day"}), "event"),
    ("name", frozenset({"tag", "category", "hashtag", "token"}), "tag"),
    ("name", frozenset({"pillar", "strategy", "platform"}), "pillar"),
    ("name", frozenset({"topic", "analysis", "session", "discussion"}), "topic"),
    ("description", _PEOPLE, "relationship"),
    ("paragraph", _PEOPLE, "relationship"),
    ("lore", _PEOPLE, "relationship"),
    ("paragraph", frozenset({"tweet", "post"}), "tweet"),
    ("lore", frozenset({"tweet", "post"}), "tweet"),
    ("lore", frozenset({"message", "turn", "discussion", "reply", "utterance"}), "opinion"),
    ("title", frozenset({"entry", "book", "lore", "event", "day"}), "caption"),
)

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+")


class Field(NamedTuple):
    """One string in a schema: its property name, what holds it, what is said about it.

    `surroundings` are the names of the properties and the titles of the objects around it,
    nearest first. What is `in_list` is one of several, not the one whom the reply is about.
    """

    name: str = ""
    surroundings: tuple[str, ...] = ()
    description: str = ""
    in_list: bool = False


@lru_cache(maxsize=8192)
def subject_of(field: Field) -> str:
    """The subject of this field; `FALLBACK` when nothing gives it away."""
    found = _by_name(field.name)
    if found is None or found == "paragraph":
        found = _by_description(field.description) or found or FALLBACK
    near = {word for name in field.surroundings[:3] for word in words_of(name)}
    if "tweet" in words_of(field.description) and found in ("paragraph", "lore"):
        near.add("tweet")
    return next((rule for was, words, rule in _SURROUNDED if was == found and words & near), found)


@lru_cache(maxsize=8192)
def words_of(text: str) -> tuple[str, ...]:
    """The words of an identifier or a sentence: lower case, singular."""
    return tuple(_singular(word) for word in _WORD.findall(_CAMEL.sub("_", text).lower()))


def _by_name(name: str) -> str | None:
    words = words_of(name)
    plain = "_".join(_WORD.findall(_CAMEL.sub("_", name).lower()))
    if plain in _BY_WORD:
        return _BY_WORD[plain]
    for start in range(len(words)):
        if rule := _BY_WORD.get("_".join(words[start:])):
            return rule
    for end in range(len(words) - 1, 0, -1):
        if rule := _BY_WORD.get("_".join(words[:end])):
            return rule
    return _in_chinese(name)


def _by_description(description: str) -> str | None:
    found = next((_BY_WORD[w] for w in words_of(description) if w in _BY_WORD), None)
    return found or _in_chinese(description)


def _in_chinese(text: str) -> str | None:
    return next((rule for word, rule in _CHINESE if word in text), None)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word

"""A seeded writer: one reply's texts, coherent with each other and with the prompt.

It knows the languages and what the prompt told; lengths and schemas are `instance.py`'s business.
"""

import datetime
import random

from tasks.llm.simulator.prompt import Language, Prompt
from tasks.llm.simulator.prose.grammar import Grammar
from tasks.llm.simulator.prose.lexicon import lexicon
from tasks.llm.simulator.prose.subjects import Field, subject_of

_GIVEN = frozenset(
    {"name", "given_name", "she", "her", "him", "herself", "gender_word", "pronouns"}
)
_ENGLISH = lexicon("english")
_CHINESE = lexicon("chinese")
_GRAMMARS: dict[Language, Grammar] = {
    "en": Grammar(_ENGLISH, given=_GIVEN),
    "zh": Grammar(_CHINESE, given=_GIVEN),
}

# Chosen anew for each entry of a list, so ten tweets are about ten moments.
_OF_THE_MOMENT = (
    "mood", "weather", "time", "spot", "activity", "deed", "food", "drink", "music", "object",
    "relation",
)  # fmt: skip
_OWN = frozenset(
    {"occupation", "home", "hair", "eyes", "build", "feature", "outfit", "style", "topic", "gender",
     "pronoun", "given_name"}
)  # fmt: skip
_ENGLISH_ONLY = frozenset({"image_prompt", "negative_prompt"})
_FIRST_DAY = datetime.date(2026, 1, 1)
_TWEET_CHARACTERS = {"en": 240, "zh": 120}


class Prose:
    """Writes the strings of one reply; the same generator state writes the same texts."""

    def __init__(self, rng: random.Random, prompt: Prompt) -> None:
        self.rng = rng
        self.prompt = prompt
        self._bound: dict[Language, dict[str, str]] = {}
        self._named: set[str] = set()

    def about(self, field: Field) -> str:
        """A text that suits this field."""
        subject = subject_of(field)
        subject = "home" if subject == "city" and not field.in_list else subject
        own = subject in _OF_THE_MOMENT or (subject in _OWN and not field.in_list)
        return self.on(subject, self.language_of(field), own=own)

    def on(self, subject: str, language: Language | None = None, *, own: bool = False) -> str:
        """A text on this subject: a grammar rule, or one of the subjects made here.

        What is `own` is the protagonist's, or the moment's: the same at every mention.
        """
        match subject:
            case "name":
                return self.name()
            case "tweet":
                return self._tweet(language or self.prompt.language)
            case "date":
                return self.day().isoformat()
            case "clock":
                return f"{self.rng.randrange(6, 24):02d}:{self.rng.randrange(0, 60, 5):02d}"
            case "uri":
                return f"https://example.org/{self.slug()}-{self.rng.randrange(1000)}"
            case "email":
                return f"{self.slug()}.{self.slug()}@example.org"
            case "digits":
                return f"555-01{self.rng.randrange(100):02d}"
        spoken = "en" if subject in _ENGLISH_ONLY else language or self.prompt.language
        return self._expand(subject, spoken, own=own)

    def language_of(self, field: Field) -> Language:
        """The prompt's language, unless the field's description asks for another."""
        said = field.description
        if not said:
            return self.prompt.language
        if "English" in said or "英文" in said or "英语" in said:
            return "en"
        return "zh" if "Chinese" in said or "中文" in said else self.prompt.language

    def protagonist(self) -> str:
        """The full name of the one whom the reply is about."""
        return self._facts(self.prompt.language)["name"]

    def name(self) -> str:
        """A full name that is neither taken nor used before in this reply."""
        self._facts(self.prompt.language)
        return self._new_name(self.prompt.language)

    def _new_name(self, language: Language) -> str:
        refused = self.prompt.taken_names
        for _ in range(500):
            name = self._any_name(language)
            if name.casefold() not in refused and name not in self._named:
                break
        else:
            name = f"{name} {len(self._named) + len(refused)}"
        self._named.add(name)
        return name

    def slug(self) -> str:
        """One plain lower-case English word."""
        return self._expand("word", "en")

    def day(self) -> datetime.date:
        """The first of the prompt's calendar days, else any day of 2026 or 2027."""
        if self.prompt.days:
            return self.prompt.days[0]
        return _FIRST_DAY + datetime.timedelta(days=self.rng.randrange(730))

    def next_entry(self) -> None:
        """Forget the mood, weather and place of the moment: another entry of a list begins."""
        for language, bound in self._bound.items():
            for rule in _OF_THE_MOMENT:
                bound.pop(rule, None)
            bound.update(self._told(language))

    def _expand(self, rule: str, language: Language, *, own: bool = False) -> str:
        grammar = _GRAMMARS[language]
        bound = self._facts(language)
        if own and rule in bound:
            return bound[rule]
        text = grammar.expand(rule, self.rng, bound)
        if own:
            bound[rule] = text
        return text[:1].upper() + text[1:] if text[-1:] in ".!?" else text

    def _tweet(self, language: Language) -> str:
        for _ in range(8):
            text = self._expand("tweet", language)
            if len(text) <= _TWEET_CHARACTERS[language]:
                return text
        return text[: _TWEET_CHARACTERS[language]].rstrip()

    def _facts(self, language: Language) -> dict[str, str]:
        bound = self._bound.get(language)
        if bound is None:
            bound = self._bound[language] = self._protagonist(language)
        return bound

    def _told(self, language: Language) -> dict[str, str]:
        return {
            rule: text
            for rule, text in self.prompt.told.items()
            if text.isascii() == (language == "en")
            or (rule == "topic" and language == self.prompt.language)
        }

    def _any_name(self, language: Language) -> str:
        pick = self.rng.choice
        feminine = self.rng.random() < 0.5
        gender = "feminine" if feminine else "masculine"
        if language == "en":
            return f"{pick(_ENGLISH[gender])} {pick(_ENGLISH['surname'])}"
        first, second = _CHINESE[f"{gender}_first"], _CHINESE[f"{gender}_second"]
        return pick(_CHINESE["surname"]) + pick(first) + pick(second)

    def _protagonist(self, language: Language) -> dict[str, str]:
        told = self.prompt.character_name
        is_readable = language == self.prompt.language or told.isascii()
        is_free = told.casefold() not in self.prompt.taken_names
        name = told if told and is_readable and is_free else self._new_name(language)
        self._named.add(name)
        return {**_called(name, language), **self._told(language)}


_FORMS = ("she", "her", "him", "herself", "gender_word", "pronouns")
_SHE = {
    "en": ("she", "her", "her", "herself", "woman", "she/her"),
    "zh": ("她", "她", "她", "她", "女", "她"),
}
_HE = {
    "en": ("he", "his", "him", "himself", "man", "he/him"),
    "zh": ("他", "他", "他", "他", "男", "他"),
}


def _called(name: str, language: Language) -> dict[str, str]:
    """How texts speak of somebody; a name of neither lexicon is taken for a woman's."""
    given = name.split()[0] if name.isascii() or " " in name else name[-2:]
    words = (_HE if _is_masculine(given) else _SHE)[language]
    return {"name": name, "given_name": given, **dict(zip(_FORMS, words, strict=True))}


def _is_masculine(given: str) -> bool:
    firsts, seconds = _CHINESE["masculine_first"], _CHINESE["masculine_second"]
    return given in _ENGLISH["masculine"] or (given[:1] in firsts and given[1:] in seconds)

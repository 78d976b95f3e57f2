"""Puts the prompt's markers into a reply, so a test can see whose prompt it came from."""

from collections.abc import Callable, Iterable
from typing import Any

_TWEET_CHARACTERS = 240


def marked_text(text: str, markers: Iterable[str]) -> str:
    """The text with the markers at its end; a text of a tweet's length stays within 240."""
    tail = "".join(f" {marker}" for marker in markers)
    if len(text) <= _TWEET_CHARACTERS < len(text) + len(tail):
        text = text[: _TWEET_CHARACTERS - len(tail)].rstrip()
    return text + tail


def mark(value: Any, markers: tuple[str, ...], is_valid: Callable[[], bool]) -> None:
    """Put the markers into the longest text of the topmost containers that hold texts, in place.

    A container whose texts cannot take them (an enum, a pattern, a short maxLength) is left as
    it was; `is_valid` judges the whole document after each change.
    """
    level = [value]
    while level and markers:
        containers = [box for box in level if isinstance(box, dict | list)]
        with_texts = [box for box in containers if any(isinstance(v, str) for _, v in _items(box))]
        if with_texts:
            for box in with_texts:
                _mark_longest(box, markers, is_valid)
            return
        level = [item for box in containers for _, item in _items(box)]


def _items(box: dict[str, Any] | list[Any]) -> list[tuple[Any, Any]]:
    return list(box.items() if isinstance(box, dict) else enumerate(box))


def _mark_longest(
    box: dict[Any, Any] | list[Any], markers: tuple[str, ...], is_valid: Callable[[], bool]
) -> None:
    texts = [(key, text) for key, text in _items(box) if isinstance(text, str)]
    texts.sort(key=lambda item: len(item[1]), reverse=True)
    done = False
    for key, text in texts:
        done = _mark_one(box, key, text, markers, is_valid) or done
        if done and isinstance(box, dict):
            return


def _mark_one(
    box: Any, key: Any, text: str, markers: tuple[str, ...], is_valid: Callable[[], bool]
) -> bool:
    room = max(0, len(text) - sum(len(marker) + 1 for marker in markers))
    for shortened in (text, text[:room].rstrip()):
        box[key] = marked_text(shortened, markers).strip()
        if is_valid():
            return True
    box[key] = text
    return False

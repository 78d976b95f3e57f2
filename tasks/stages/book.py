"""The character book of a card: what is known, entry by entry."""

from typing import Any

from tasks.schemas.documents import BookEntry, KnowledgeDocument

SUBJECTS = ("places", "people", "expertise")


def book(name: str, knowledge: KnowledgeDocument) -> dict[str, Any]:
    """Build the book, its subjects in order."""
    items = [(subject, item) for subject in SUBJECTS for item in getattr(knowledge, subject)]
    return {
        "name": name,
        "extensions": {},
        "entries": [entry(number, subject, item) for number, (subject, item) in enumerate(items)],
    }


def entry(number: int, subject: str, item: BookEntry) -> dict[str, Any]:
    """Build one entry; its subject is the comment, which no prompt sees."""
    keys = list(dict.fromkeys(item.keys))
    return {
        "id": number,
        "keys": keys,
        "name": keys[0],
        "content": item.content,
        "comment": subject,
        "extensions": {},
        "enabled": True,
        "insertion_order": number,
        "case_sensitive": False,
        "selective": False,
        "constant": False,
        "position": "before_char",
    }

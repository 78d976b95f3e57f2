"""Small runs to export in tests."""

import struct
import zlib
from typing import Any

from tasks.schemas.export import PersonaExport, RunExport, TweetExport
from tasks.schemas.status import (
    CallCounts,
    FailureLine,
    ItemCounts,
    RunStatus,
    TokenCounts,
)


def png(width: int = 4, height: int = 3) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width * 3) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def card(name: str = "Mei Lin", **data: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("personality", "scenario", "first_mes", "mes_example", "creator_notes", "system_prompt"),
        "",
    )
    return {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {"name": name, "description": "", "tags": [], "extensions": {}, **empty, **data},
    }


def tweet(slot: int = 1, **changes: Any) -> TweetExport:
    fields: dict[str, Any] = {
        "slot": slot,
        "date": f"2026-11-{slot:02d}",
        "text": f"Tweet number {slot}",
        "image_prompt": f"prompt {slot}",
        "image": png(),
        "status": "done",
        "model": "model-a",
        "picture_status": "done",
    }
    return TweetExport(**(fields | changes))


def persona(index: int = 1, **changes: Any) -> PersonaExport:
    fields: dict[str, Any] = {
        "index": index,
        "label": f"brief {index}",
        "card": card(),
        "portrait": None,
        "calendar": {"calendar": {}},
        "tweets": (tweet(1), tweet(2)),
    }
    return PersonaExport(**(fields | changes))


def status(run_id: str = "r1", **changes: Any) -> RunStatus:
    fields: dict[str, Any] = {
        "run_id": run_id,
        "state": "done",
        "personas": ItemCounts(total=1, done=1),
        "tweets": ItemCounts(total=2, done=2),
        "images": ItemCounts(total=2, done=2),
        "calls": CallCounts(made=12),
        "tokens": TokenCounts(prompt=900, completion=300),
        "seconds": 12.5,
    }
    return RunStatus(**(fields | changes))


def run(*personas: PersonaExport, **changes: Any) -> RunExport:
    fields: dict[str, Any] = {
        "status": status(),
        "kind": "run",
        "language": "en",
        "created": "2026-11-23T10:00:00Z",
        "provider": "simulated",
        "personas": personas or (persona(),),
    }
    return RunExport(**(fields | changes))


def failures(count: int) -> tuple[FailureLine, ...]:
    return tuple(
        FailureLine(item=f"p1.t{number:02d}", stage="tweet", error="the model refused")
        for number in range(1, count + 1)
    )

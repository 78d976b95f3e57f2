"""What the gallery says about one tweet: its text, its picture, or why there is none."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from producer.character import picture_path
from tasks.schemas.export import TweetExport

PictureState = Literal["shown", "failed", "missing", "none"]

_PNG_START = b"\x89PNG\r\n\x1a\n"
_FAILED = frozenset({"failed", "cancelled", "quarantined"})


@dataclass(frozen=True, kw_only=True)
class PostView:
    """One tweet's card. Sizes are pixels, 0 when unknown; `machine_date` is ISO 8601 or ""."""

    slot: int
    date: str
    machine_date: str
    text: str
    failed: bool
    error: str
    model: str
    picture: str
    picture_state: PictureState
    alt: str
    width: int
    height: int


def post_view(tweet: TweetExport, folder: str, name: str) -> PostView:
    """Say what there is to say about one tweet of the character in `folder`."""
    path = picture_path(tweet)
    width, height = png_size(tweet.image or b"")
    return PostView(
        slot=tweet.slot,
        date=tweet.date,
        machine_date=_iso_date(tweet.date),
        text=tweet.text,
        failed=tweet.status in _FAILED,
        error=tweet.error,
        model=tweet.model,
        picture=f"{folder}/{path}" if path and folder else "",
        picture_state=_picture_state(tweet),
        alt=tweet.image_prompt or f"{name} · {tweet.date}",
        width=width,
        height=height,
    )


def png_size(png: bytes) -> tuple[int, int]:
    """Read width and height in pixels from a PNG's header; (0, 0) when it is none."""
    if not png.startswith(_PNG_START) or len(png) < 24:
        return 0, 0
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _picture_state(tweet: TweetExport) -> PictureState:
    if tweet.image is not None:
        return "shown"
    if tweet.picture_status in _FAILED:
        return "failed"
    return "missing" if tweet.picture_status else "none"


def _iso_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""

"""The gallery's HTML: template, style and script in one self-contained page.

What the page says is decided in `view`; where its files lie, in `producer.character`.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from producer.character import Character
from producer.gallery.labels import fields_for, labels_for
from producer.gallery.view import run_view
from tasks.schemas.export import RunExport

_HERE = Path(__file__).parent
_SHORT = 28
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…")


def gallery_page(export: RunExport, people: Sequence[Character], *, generator: str) -> str:
    """Render the run as one HTML page that asks nothing of the network.

    Opens from `file://` beside the characters' folders. Its content security policy allows only
    its own style, its own script and pictures; every text is escaped, so a tweet may hold markup.
    """
    style, script = _asset("style.css"), _asset("filter.js")
    labels = labels_for(export.language)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            run=run_view(export, people, labels),
            t=labels,
            fields=fields_for(export.language),
            generator=generator,
            style=Markup(style),  # noqa: S704 - our own file, not a user's text
            script=Markup(script),  # noqa: S704 - our own file, not a user's text
            policy=_policy(style, script),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["are_short"] = _are_short
    return environment


def _are_short(items: Sequence[object]) -> bool:
    """Say whether a list reads better on one line than item by item: words, no sentences."""
    return all(
        isinstance(item, str | int | float)
        and len(str(item)) < _SHORT
        and not str(item).endswith(_SENTENCE_ENDS)
        for item in items
    )


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; img-src 'self' file: data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()

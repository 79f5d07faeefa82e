"""Rows of a data set as HTML: a gallery of cards with players and buttons."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mmdemo.datasets import edits
from mmdemo.datasets.rows import Row
from mmdemo.settings import Settings
from mmdemo.ui import media_cards
from mmdemo.ui.i18n import say
from mmdemo.ui.run_cards import short
from mmdemo.ui.sentences import translate

Keyed = tuple[str, Row]


def gallery(rows: Sequence[Keyed], settings: Settings, language: str, buttons: bool = True) -> str:
    """A card for each row; the key is what its buttons give back."""
    if not rows:
        return f'<p class="mm-from">{escape(say("rows_none", language))}</p>'
    items = "".join(_card(name, row, settings, language, buttons) for name, row in rows)
    return f'<ol class="mm-changes">{items}</ol>'


def _card(name: str, row: Row, settings: Settings, language: str, buttons: bool) -> str:
    origin = translate(row.origin, language)
    about = f"{origin} · {say(f'split_{row.split}', language)}" if row.split else origin
    lines = [("input", edits.asked(row)), ("target", " / ".join(edits.answered(row).split("\n")))]
    body = "".join(
        f"<dt>{escape(say(f'col_{key}', language))}</dt><dd>{escape(short(text))}</dd>" for key, text in lines if text
    )
    media = "".join(media_cards.small(path, settings, language) for path in row.media)
    acts = "".join(_button(action, name, origin, language) for action in ("edit", "drop")) if buttons else ""
    acts = f'<div class="mm-row">{acts}</div>' if acts else ""
    return f'<li class="mm-change"><p class="mm-from">{escape(about)}</p>{media}<dl>{body}</dl>{acts}</li>'


def _button(action: str, name: str, origin: str, language: str) -> str:
    words = say(f"row_do_{action}", language)
    return (
        f'<button type="button" class="mm-small" data-mm-action="{action}" data-mm-key="{escape(name)}" '
        f'aria-label="{escape(f"{words} {origin}")}">{escape(words)}</button>'
    )

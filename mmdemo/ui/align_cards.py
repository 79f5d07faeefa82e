"""Files and texts in one space as HTML: what each text finds, and how near everything is to everything."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from mmdemo.results import Nearness
from mmdemo.settings import Settings
from mmdemo.ui import media_cards, parts
from mmdemo.ui.i18n import say

BEST = 6
"""Files that are shown of what a text finds."""
MOST_ROWS, MOST_COLUMNS = 100, 12
"""Of the matrix that is shown."""


def html(rows: Sequence[Nearness], settings: Settings, language: str) -> str:
    """What each text finds, then the matrix; files that cannot be read with their reason."""
    good = [one for one in rows if one.scores]
    bad = "".join(parts.failed(one, language) for one in rows if one.error)
    if not good:
        return bad
    texts = good[0].texts
    found = "".join(_found(place, text, good, settings, language) for place, text in enumerate(texts))
    spent = good[-1].provenance
    return (
        f'<section class="mm-report">{bad}{found}{_matrix(good, language)}{parts.provenance(spent, language)}</section>'
    )


def _found(place: int, text: str, rows: Sequence[Nearness], settings: Settings, language: str) -> str:
    """The files nearest to a text, the nearest first."""
    best = sorted(rows, key=lambda one: -one.scores[place])[:BEST]
    title = escape(say("align_finds", language, text=text))
    tiles = "".join(
        f'<li class="mm-tile mm-near"><figure>{media_cards.small(Path(one.file), settings, language)}<figcaption>'
        f'<span class="mm-file">{escape(Path(one.file).name)}</span>'
        f'<span class="mm-number">{cosine(one.scores[place])}</span></figcaption></figure></li>'
        for one in best
    )
    return f'<h3 class="mm-head">{title}</h3><ul class="mm-gallery" data-mm-finds="{place}">{tiles}</ul>'


def _matrix(rows: Sequence[Nearness], language: str) -> str:
    """A row a file, a column a text; a cell is darker the nearer, and a file's nearest text is marked."""
    texts = rows[0].texts[:MOST_COLUMNS]
    shown = rows[:MOST_ROWS]
    every = [score for one in shown for score in one.scores[: len(texts)]]
    low, high = min(every), max(every)
    lines = ""
    for one in shown:
        nearest = one.texts.index(one.text)
        cells = "".join(
            f'<td class="mm-cell" style="--mm-near:{(score - low) / max(high - low, 1e-9):.2f}">'
            f"{'<strong>▲ ' if place == nearest else ''}{cosine(score)}{'</strong>' if place == nearest else ''}</td>"
            for place, score in enumerate(one.scores[: len(texts)])
        )
        lines += f'<tr><th scope="row">{escape(Path(one.file).name)}</th>{cells}</tr>'
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in texts)
    title = escape(say("align_matrix", language))
    left = len(rows) - len(shown)
    more = f'<p class="mm-from">{escape(say("align_more", language, count=left))}</p>' if left else ""
    return (
        f'<h3 class="mm-head">{title}</h3><div class="mm-scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table class="mm-table mm-matrix"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
        f'<p class="mm-from">{escape(say("align_why", language))}</p>{more}'
    )


def cosine(score: float) -> str:
    """0.31, or −0.02 with a minus sign."""
    return f"{score:.2f}".replace("-", "−")

"""Before and after a training as HTML: the verdict, the scores, and the rows that changed most with their media."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from mmdemo.folders import REPORT
from mmdemo.settings import Settings
from mmdemo.ui import media_cards
from mmdemo.ui.i18n import say
from mmdemo.ui.run_cards import short
from mmdemo.ui.sentences import translate

Report = Mapping[str, Any]
MOST_LABELS = 16
"""Classes up to which the confusion matrix is shown; a larger one is in the file."""


def read(folder: Path) -> Report:
    """The report of a run; empty where there is none yet."""
    try:
        found = json.loads((folder / REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def html(report: Report, settings: Settings, language: str) -> str:
    """The whole report."""
    if not report:
        return ""
    return (
        f'<section class="mm-report" aria-label="{escape(say("report", language))}">{verdict(report, language)}'
        f"{_scores(report, language)}{_also(report, language)}{_changed(report, settings, language)}"
        f"{_classes(report, language)}</section>"
    )


def verdict(report: Report, language: str) -> str:
    """Whether it got better, by how much, on how many rows."""
    metric = str(report.get("metric", ""))
    said = str(report.get("verdict", "")).partition(":")[0]
    key = {"better": "verdict_better", "worse": "verdict_worse"}.get(said, "verdict_open")
    mark = {"verdict_better": "▲", "verdict_worse": "▼"}.get(key, "◆")
    rows = report.get("rows", 0)
    line = say(
        "verdict_line", language, metric=metric, before=_number(_of(report, "before", metric)),
        after=_number(_of(report, "after", metric)), count=rows,
    )  # fmt: skip
    return (
        f'<p class="mm-verdict mm-{key.replace("_", "-")}"><span aria-hidden="true">{mark}</span> '
        f"<strong>{escape(say(key, language, count=rows))}</strong> <span>{escape(line)}</span></p>"
    )


def _of(report: Report, side: str, metric: str) -> Any:
    return (report.get(side) or {}).get("metrics", {}).get(metric)


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _scores(report: Report, language: str, explained: bool = True) -> str:
    """Each score before and after, and the interval that the difference lies in."""
    names = [*(report.get("after") or {}).get("metrics", {})]
    rows = ""
    for name in names:
        span = (report.get("difference") or {}).get(name)
        change = f"{span[0]:+.3f} … {span[1]:+.3f}" if span else "–"
        cells = [_number(_of(report, "before", name)), _number(_of(report, "after", name)), change]
        keys = ("before", "after", "change")
        body = "".join(
            f'<td class="mm-time" data-mm-name="{escape(say(f"col_{key}", language))}">{cell}</td>'
            for key, cell in zip(keys, cells, strict=True)
        )
        rows += f'<tr><th scope="row">{escape(name)}</th>{body}</tr>'
    heads = "".join(
        f'<th scope="col"{"" if key == "score" else " class=mm-time"}>{escape(say(f"col_{key}", language))}</th>'
        for key in ("score", "before", "after", "change")
    )
    title = escape(say("report", language))
    return (
        f'<div class="mm-scroll" tabindex="0" role="region" aria-label="{title}"><table class="mm-table">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        + (f'<p class="mm-from">{escape(say("interval_why", language))}</p>' if explained else "")
    )


def _also(report: Report, language: str) -> str:
    """Before and after on another data set: what it has forgotten shows there."""
    other = report.get("also")
    if not isinstance(other, Mapping):
        return ""
    said = str(other.get("verdict", "")).partition(":")[0]
    key = {"better": "also_better", "worse": "also_worse"}.get(said, "also_open")
    mark = {"also_better": "▲", "also_worse": "▼"}.get(key, "◆")
    title = say("also_title", language, name=other.get("data", ""))
    words, looks = say(key, language, count=other.get("rows", 0)), key.replace("also_", "verdict-")
    return (
        f'<h3 class="mm-head">{escape(title)}</h3><p class="mm-verdict mm-{looks}">'
        f'<span aria-hidden="true">{mark}</span> <strong>{escape(words)}</strong></p>'
        f"{_scores(other, language, explained=False)}"
    )


def _changed(report: Report, settings: Settings, language: str) -> str:
    rows = report.get("changed") or []
    if not rows:
        return ""
    title = say("changed_most", language)
    items = "".join(_row(row, settings, language) for row in rows)
    return f'<h3 class="mm-head">{escape(title)}</h3><ol class="mm-changes">{items}</ol>'


def _row(row: Mapping[str, Any], settings: Settings, language: str) -> str:
    gain = row.get("gain") or 0
    mark, word = ("▲", "row_better") if gain > 0 else ("▼", "row_worse") if gain < 0 else ("◆", "row_other")
    media = "".join(media_cards.small(Path(path), settings, language) for path in row.get("media") or [])
    lines = [(key, row.get(key)) for key in ("input", "target", "before", "after") if row.get(key)]
    body = "".join(
        f"<dt>{escape(say(f'col_{key}', language))}</dt><dd>{escape(short(text))}</dd>" for key, text in lines
    )
    return (
        f'<li class="mm-change"><p class="mm-from">{mark} {escape(say(word, language))} · '
        f"{escape(translate(str(row.get('origin', '')), language))}</p>{media}<dl>{body}</dl></li>"
    )


def _classes(report: Report, language: str) -> str:
    """The report on each class, and the confusion matrix where it has room."""
    text, labels, matrix = report.get("report"), report.get("labels") or [], report.get("confusion") or []
    parts_ = ""
    if text:
        parts_ += f'<pre class="mm-pre" tabindex="0">{escape(str(text))}</pre>'
    if matrix and 1 < len(labels) <= MOST_LABELS:
        heads = "".join(f'<th scope="col" class="mm-time">{escape(str(label))}</th>' for label in labels)
        lines = "".join(
            f'<tr><th scope="row">{escape(str(label))}</th>'
            + "".join(f'<td class="mm-time">{count}</td>' for count in line)
            + "</tr>"
            for label, line in zip(labels, matrix, strict=False)
        )
        parts_ += (
            f'<div class="mm-scroll" tabindex="0" role="region" aria-label="{escape(say("confusion", language))}">'
            f'<table class="mm-table"><caption>{escape(say("confusion", language))}</caption>'
            f"<thead><tr><td></td>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
        )
    if not parts_:
        return ""
    return f'<details class="mm-details"><summary>{escape(say("by_class", language))}</summary>{parts_}</details>'

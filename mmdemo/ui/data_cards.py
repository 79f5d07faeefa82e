"""A data set as HTML, before anything is learned of it: what was found, what is wrong with it, its first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from mmdemo.datasets.rows import SPLITS, Dataset, Row
from mmdemo.settings import Settings
from mmdemo.ui import media_cards
from mmdemo.ui.i18n import say
from mmdemo.ui.run_cards import short
from mmdemo.ui.sentences import translate

FEW = 6
"""Rows that are shown."""
PROBLEMS = 12
"""Sentences about what is wrong that are shown; the others are counted."""
CLASSES = 12


def found(dataset: Dataset, settings: Settings, language: str) -> str:
    """All that a person should know before it is learned from."""
    if not dataset.rows:
        return (
            f'<p class="mm-error"><span aria-hidden="true">⚠</span> <span>{escape(say("no_rows", language))}</span></p>'
        )
    title = say("data_found", language, name=dataset.name)
    return (
        f'<section class="mm-report" aria-label="{escape(title)}"><h3 class="mm-job-title">{escape(title)}</h3>'
        f"{_facts(dataset, language)}{_problems(dataset, language)}{_rows(dataset, settings, language)}</section>"
    )


def tasks_of(rows: Sequence[Row]) -> list[str]:
    """The training tasks that rows can be for, the likeliest first."""
    some = rows[:200]

    def most(of: Sequence[object]) -> bool:
        return sum(map(bool, of)) * 2 > len(some)

    image, audio = most([row.image for row in some]), most([row.audio for row in some])
    targets, labels = most([row.targets for row in some]), most([row.label for row in some])
    tags, messages = most([row.tags for row in some]), most([row.messages for row in some])
    rules = (
        ("token-classification", tags),
        ("automatic-speech-recognition", audio and targets),
        ("image-to-text", image and targets),
        ("audio-classification", audio and labels),
        ("image-classification", image and labels),
        ("text-classification", labels and not image and not audio),
        ("text-generation", messages or (targets and not image and not audio)),
    )
    return [task for task, fits in rules if fits]


def _facts(dataset: Dataset, language: str) -> str:
    counts = Counter(row.split for row in dataset.rows)
    splits = [f"{say(f'split_{name}', language)} {counts[name]:,}" for name in SPLITS if counts[name]]
    media = [
        f"{say(f'media_{kind}', language)} {count:,}"
        for kind in ("image", "audio", "video")
        if (count := sum(bool(getattr(row, kind)) for row in dataset.rows))
    ]
    classes = Counter(row.label for row in dataset.rows if row.label)
    lines = [" · ".join([say("rows_found", language, count=f"{len(dataset.rows):,}"), *splits, *media])]
    if dataset.columns:
        taken = ", ".join(f"{column} → {field}" for column, field in dataset.columns.items())
        lines.append(say("columns_taken", language, columns=taken))
    if classes:
        most = ", ".join(f"{name} {count:,}" for name, count in classes.most_common(CLASSES))
        more = f", + {len(classes) - CLASSES}" if len(classes) > CLASSES else ""
        lines.append(say("classes_found", language, count=len(classes), classes=most + more))
    return "".join(f'<p class="mm-from">{escape(line)}</p>' for line in lines)


def _problems(dataset: Dataset, language: str) -> str:
    if not dataset.problems:
        return ""
    lines = "".join(
        f"<li>{escape(short(translate(problem, language)))}</li>" for problem in dataset.problems[:PROBLEMS]
    )
    rest = len(dataset.problems) - PROBLEMS
    more = f"<li>{escape(say('more_problems', language, count=rest))}</li>" if rest > 0 else ""
    title = say("problems", language, count=len(dataset.problems))
    return (
        f'<details class="mm-details" open><summary><span aria-hidden="true">⚠</span> {escape(title)}</summary>'
        f'<ul class="mm-problems">{lines}{more}</ul></details>'
    )


def _rows(dataset: Dataset, settings: Settings, language: str) -> str:
    step = max(1, len(dataset.rows) // FEW)
    items = "".join(_row(row, settings, language) for row in dataset.rows[::step][:FEW])
    return f'<h3 class="mm-head">{escape(say("rows_shown", language))}</h3><ol class="mm-changes">{items}</ol>'


def _row(row: Row, settings: Settings, language: str) -> str:
    lines = [("input", row.text or " ".join(row.tokens)), ("target", row.label or " / ".join(row.targets[:2]))]
    if row.tags:
        lines[1] = ("target", " ".join(row.tags))
    if row.messages:
        lines = [("input", row.messages[0].get("content", "")), ("target", row.messages[-1].get("content", ""))]
    body = "".join(
        f"<dt>{escape(say(f'col_{key}', language))}</dt><dd>{escape(short(text))}</dd>" for key, text in lines if text
    )
    media = "".join(media_cards.small(path, settings, language) for path in row.media)
    return f'<li class="mm-change"><p class="mm-from">{escape(row.origin)}</p>{media}<dl>{body}</dl></li>'

"""A data set as HTML, before anything is learned of it: what was found and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mmdemo.datasets.report import Report
from mmdemo.datasets.rows import SPLITS, Dataset
from mmdemo.training.recipes import RECIPES
from mmdemo.ui import parts
from mmdemo.ui.i18n import say
from mmdemo.ui.run_cards import short
from mmdemo.ui.sentences import translate

MOST = 12
"""Sentences of a kind that are shown; the others are counted."""
CLASSES = 12


def found(dataset: Dataset, report: Report, language: str) -> str:
    """All that a person should know before it is learned from."""
    title = say("data_found", language, name=dataset.name)
    return (
        f'<section class="mm-report" aria-label="{escape(title)}"><h3 class="mm-job-title">{escape(title)}</h3>'
        f'<div class="mm-lines">{_facts(report, language)}</div>'
        f"{_sentences('findings', report.findings, True, language)}"
        f"{_sentences('problems', report.problems, False, language)}</section>"
    )


def tasks_of(report: Report) -> list[str]:
    """The tasks that can be trained here with a data set, the likeliest first."""
    return [task for task in report.tasks if task in RECIPES]


def _facts(report: Report, language: str) -> str:
    splits = [f"{say(f'split_{name}', language)} {report.splits[name]:,}" for name in SPLITS if report.splits.get(name)]
    media = [f"{say(f'media_{kind}', language)} {count:,}" for kind, count in report.media.items()]
    length = [parts.clock(report.opened.seconds)] if report.opened.seconds else []
    lines = [" · ".join([say("rows_found", language, count=f"{report.rows:,}"), *splits, *media, *length])]
    if report.columns:
        taken = ", ".join(f"{column} → {field}" for column, field in report.columns.items())
        lines.append(say("columns_taken", language, columns=taken))
    for key, counts in (("classes_found", report.labels), ("tags_found", report.tags)):
        if counts:
            most = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:CLASSES])
            more = f", + {len(counts) - CLASSES}" if len(counts) > CLASSES else ""
            lines.append(say(key, language, count=len(counts), classes=most + more))
    if report.languages:
        told = ", ".join(f"{code} {count:,}" for code, count in list(report.languages.items())[:CLASSES])
        lines.append(say("languages_found", language, languages=told))
    return "".join(f'<p class="mm-from">{escape(short(line))}</p>' for line in lines)


def _sentences(key: str, sentences: Sequence[str], shown: bool, language: str) -> str:
    """A list of sentences that folds; what the user should know is open."""
    if not sentences:
        return ""
    lines = "".join(f"<li>{escape(short(translate(one, language)))}</li>" for one in sentences[:MOST])
    rest = len(sentences) - MOST
    more = f"<li>{escape(say('more_problems', language, count=rest))}</li>" if rest > 0 else ""
    title = say(key, language, count=len(sentences))
    return (
        f'<details class="mm-details"{" open" if shown else ""}><summary><span aria-hidden="true">⚠</span> '
        f'{escape(title)}</summary><ul class="mm-problems">{lines}{more}</ul></details>'
    )

"""A training as HTML: how it stands, what the model says meanwhile, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from mmdemo.jobs import Job
from mmdemo.jobs.events import Event, History
from mmdemo.ui import job_cards, parts
from mmdemo.ui.curves import numbers
from mmdemo.ui.i18n import say
from mmdemo.ui.sentences import translate

FEW = 12
"""Samples that are shown while it learns."""
LONGEST = 400
"""Characters of a text in a table."""


def head(job: Job, said: History, language: str) -> str:
    """Title, state, how far it is, the last scores, speed and memory, and what can be done with it."""
    buttons = "".join(job_cards.button(action, job, language) for action in job_cards.actions(job) if action != "show")
    return (
        f'<article class="mm-job" data-mm-job="{escape(job.id)}"><div class="mm-status-line">'
        f'<h3 class="mm-job-title">{escape(job.title)}</h3>{job_cards.badge(job, language)}</div>'
        f"{job_cards.standing(job, said, language)}{facts(said, language)}"
        f'<div class="mm-row">{buttons}</div></article>'
    )


def facts(said: History, language: str) -> str:
    """The last scores of each split, speed and memory, as far as they were said."""
    lines = [
        " · ".join([say(f"split_{split}", language) if split in SPLITS else split, *scores(event)])
        for split, event in sorted(last(said).items())
    ]
    now = max(said.progress.values(), key=lambda event: event["step"], default={}) if said.progress else {}
    if number(now.get("samples_per_second")):
        lines.append(say("per_second", language, count=f"{now['samples_per_second']:.3g}"))
    if number(now.get("memory")):
        lines.append(say("memory_taken", language, size=parts.size(now["memory"])))
    if number(now.get("loss")):
        lines.append(say("loss_now", language, value=f"{now['loss']:.4g}"))
    return f'<p class="mm-from">{escape(" · ".join(lines))}</p>' if lines else ""


SPLITS = ("train", "validation", "test", "final", "other", "trial")


def last(said: History) -> dict[str, Event]:
    """The last scores of each split; those of the end alone, once they are there."""
    found = {split: event for (_, split), event in sorted(said.metrics.items())}
    ends = {split: event for split, event in found.items() if split in ("final", "other")}
    return ends if "final" in found else found


def scores(event: Event) -> list[str]:
    """`accuracy 0.912`."""
    return [f"{name} {value:.3g}" for name, value in numbers(event).items()]


def number(value: object) -> bool:
    """Whether it is a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def samples(said: History, language: str) -> str:
    """What the model says of a few held-out rows now, beside what it should say, and said before."""
    some = list(said.samples.values())[-FEW:]
    if not some:
        return ""
    title = say("samples_now", language)
    before = any(event.get("before") for event in some)
    keys = ["origin", "target", *(["before"] if before else []), "now"]
    rows = "".join(_sample(event, before, language) for event in some)
    return f'<h3 class="mm-head">{escape(title)}</h3>{table(keys, rows, title, language)}'


def table(keys: list[str], rows: str, title: str, language: str) -> str:
    """Rows under the words `col_` and the keys; a phone shows them as cards."""
    heads = "".join(f'<th scope="col">{escape(say(f"col_{key}", language))}</th>' for key in keys)
    return (
        f'<div class="mm-scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f'<table class="mm-table mm-rows"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _sample(event: Mapping[str, Any], before: bool, language: str) -> str:
    cells = [("target", event.get("target")), *([("before", event.get("before"))] if before else [])]
    cells.append(("now", event.get("text")))
    return row(translate(str(event.get("origin", "")), language), cells, language)


def row(origin: str, cells: list[tuple[str, Any]], language: str) -> str:
    """A row: where it is from, and its texts."""
    body = "".join(
        f'<td data-mm-name="{escape(say(f"col_{key}", language))}">{escape(short(text))}</td>' for key, text in cells
    )
    return f'<tr><th scope="row" class="mm-muted">{escape(short(origin))}</th>{body}</tr>'


def short(text: object) -> str:
    """A text as a table has room for it."""
    words = "" if text is None else str(text)
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"

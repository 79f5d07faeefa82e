"""Jobs as HTML: what each does, how far it is, how it ended, and what can be done with it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from html import escape
from typing import Any

from mmdemo.errors import UnknownName
from mmdemo.jobs import Job, Jobs
from mmdemo.jobs.events import History
from mmdemo.jobs.job import ACTIVE, RESUMABLE
from mmdemo.ui import parts
from mmdemo.ui.i18n import catalogue, say
from mmdemo.ui.sentences import translate

SHOWN = ("train", "search")
"""Kinds of jobs that a tab shows more of."""


def cards(jobs: Iterable[tuple[Job, History]], language: str) -> str:
    """All jobs as a list, or what will be here."""
    items = "".join(card(job, said, language) for job, said in jobs)
    if not items:
        return f'<p class="mm-muted">{escape(say("jobs_empty", language))}</p>'
    return f'<ul class="mm-joblist">{items}</ul>'


def card(job: Job, said: History, language: str) -> str:
    """One job."""
    title = escape(job.title)
    buttons = "".join(button(action, job, language) for action in actions(job))
    return (
        f'<li class="mm-job" data-mm-job="{escape(job.id)}"><div class="mm-status-line">'
        f'<h3 class="mm-job-title">{title}</h3>{badge(job, language)}</div>'
        f'{standing(job, said, language)}<div class="mm-row">{buttons}</div></li>'
    )


def badge(job: Job, language: str) -> str:
    """How it stands, in a word."""
    return f'<span class="mm-kind mm-job-{job.state}">{escape(say(f"job_{job.state}", language))}</span>'


def standing(job: Job, said: History, language: str) -> str:
    """What it does and how far it is; of one that has ended when, how long it took, and what went wrong."""
    if job.state in ACTIVE:
        return line(job, said, language)
    if job.state == "queued":
        return f'<p class="mm-from">{escape(say("job_turn", language))}</p>'
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.ended or job.created))
    facts = say("job_took", language, when=when, time=parts.duration(job.ended - job.started)) if job.started else when
    done, steps = said.count
    if steps and job.state != "done":
        facts += " · " + say("n_of_m", language, n=done, m=steps)
    return f'<p class="mm-from">{escape(facts)}</p>' + why(job, language)


def why(job: Job, language: str) -> str:
    """What went wrong, in one sentence; nothing where nothing did."""
    if not job.message:
        return ""
    words = escape(translate(job.message, language))
    return f'<p class="mm-error"><span aria-hidden="true">⚠</span> <span>{words}</span></p>'


def line(job: Job, said: History, language: str) -> str:
    """What a job that runs does now, n of m, percent, how long it has been at it and how long it still takes."""
    done, steps = said.count
    words = say("job_stopping_now", language) if job.state == "stopping" else translate(said.words, language)
    words = words or say(kind_key(job.kind), language)
    share = min(1.0, done / steps) if steps else None
    seconds = max(0.0, time.time() - job.started)
    left = None if job.state == "stopping" else said.left
    return parts.working(words, seconds, language, share, (done, steps) if steps else None, left)


def kind_key(kind: str) -> str:
    """The word for what a kind of job does, where its program does not say."""
    key = f"job_working_{kind}"
    return key if key in catalogue()["ui"] else "job_working"


def actions(job: Job) -> list[str]:
    """What can be done with a job now."""
    found = ["show"] if job.kind in SHOWN else []
    if job.state in ("queued", "running"):
        return [*found, "stop"]
    if job.state in RESUMABLE:
        return [*found, "resume", "remove"]
    return [*found, "remove"] if job.state == "done" else found


def button(action: str, job: Job, language: str) -> str:
    """A button that does something with a job."""
    words = say(f"job_do_{action}", language)
    sure = escape(say("job_remove_sure", language, title=job.title)) if action == "remove" else ""
    return (
        f'<button type="button" class="mm-small" data-mm-action="{action}" data-mm-key="{escape(job.id)}" '
        f'data-mm-sure="{sure}" aria-label="{escape(f"{words} {job.title}")}">{escape(words)}</button>'
    )


def act(pressed: Any, jobs: Jobs) -> None:
    """Stop, resume or remove the job whose button was pressed; to show one, it has to be there.

    Raises:
        UnknownName, JobError: for another action, and as the jobs raise them.
    """
    actions = {"stop": jobs.stop, "resume": jobs.resume, "remove": jobs.remove, "show": jobs.get}
    if pressed.action not in actions:
        raise UnknownName("action", pressed.action, actions)
    actions[pressed.action](str(pressed.value))

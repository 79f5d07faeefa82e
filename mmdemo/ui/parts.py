"""Pieces of the page as HTML: pure functions of what the studio says. Whatever people or models wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from mmdemo import folders
from mmdemo.results import Description, Label, Nearness, Provenance, Track, Transcript
from mmdemo.runtime.sources.base import Progress
from mmdemo.ui.i18n import say
from mmdemo.ui.sentences import translate


def file_url(path: object) -> str:
    """Where the page's server has a file of its cache."""
    return "/gradio_api/file=" + quote(str(path))


def clock(seconds: float) -> str:
    """A time as 00:12.3, or 1:00:12.3 from an hour on."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36000)
    minutes, rest = divmod(rest, 600)
    tail = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{tail}" if hours else tail


def duration(seconds: float) -> str:
    """A span as 0.4 s, 12 s or 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def about(seconds: float) -> str:
    """A span that is only estimated: 5 s, 40 s, 3 min, 2 h 10 min."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 55:
        return f"{round(seconds / 5) * 5} s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(number: float) -> str:
    """Bytes as 24.7 MB or 1.2 GB."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} GB"
    return f"{number / 1e6:.1f} MB" if number < 1e8 else f"{number / 1e6:.0f} MB"


def working(
    words: str,
    seconds: float,
    language: str,
    share: float | None = None,
    count: tuple[int, int] | None = None,
    left: float | None = None,
) -> str:
    """The line of a request that runs: what it does, how far it is, how long it has been at it and still will be.

    Args:
        share: 0 to 1, or None where it is not known.
        count: done and all, shown as "n of m".
        left: seconds it still takes, or None where they are not known.
    """
    known = share is not None
    percent = round(100 * (share or 0.0))
    width = f' style="width:{percent}%"' if known else ""
    values = f' aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100"' if known else ""
    tail = [say("n_of_m", language, n=count[0], m=count[1])] if count else []
    tail += [say("percent", language, percent=percent)] if known else []
    tail.append(duration(seconds))
    tail += [say("time_left", language, time=about(left))] if left is not None else []
    return (
        f'<div class="mm-status" role="status"><div class="mm-status-line"><span>{escape(words)}</span>'
        f'<span class="mm-muted">{escape(" · ".join(tail))}</span></div>'
        f'<div class="mm-bar{"" if known else " mm-bar-open"}" role="progressbar" aria-label="{escape(words)}"{values}>'
        f"<span{width}></span></div></div>"
    )


def fetched(words: str, progress: Progress) -> str:
    """What is fetched or loaded, with how much of it is there, where that says something."""
    return words + (f" · {size(progress.done)} / {size(progress.total)}" if progress.total > 1e5 else "")


def share_of(progress: Progress) -> float | None:
    """How far something fetched or loaded is, 0 to 1; None where it is not known."""
    return min(1.0, progress.done / progress.total) if progress.total > 0 else None


def note(words: str) -> str:
    """A quiet line where the status was."""
    return f'<div class="mm-status mm-quiet" role="status">{escape(words)}</div>'


def empty(words: str) -> str:
    """What to do, where the first result will be."""
    return f'<p class="mm-empty">{escape(words)}</p>'


def error(words: str) -> str:
    """One sentence that says what is wrong and what to do, where it went wrong."""
    return f'<div class="mm-error" role="alert"><span aria-hidden="true">⚠</span> <span>{escape(words)}</span></div>'


def failed(of: Description | Transcript | Track | Nearness, language: str) -> str:
    """Why there is no result of a file."""
    return error(translate(of.error, language))


def provenance(of: Provenance, language: str) -> str:
    """What a result came from: model, device, seconds, and what else must be said."""
    facts = [" + ".join(map(model, of.model.split(" + "))), of.device, duration(of.seconds)]
    notes = "".join(f'<li class="mm-note">{escape(translate(line, language))}</li>' for line in of.notes)
    line = escape(" · ".join(fact for fact in facts if fact))
    return f'<p class="mm-from">{line}</p>' + (f'<ul class="mm-notes">{notes}</ul>' if notes else "")


def model(key: str) -> str:
    """What people read of a model that answered: of a folder its name, or what was tuned on what, and no path."""
    return folders.title_of(Path(key.removeprefix(folders.PREFIX))) if key.startswith(folders.PREFIX) else key


def copy_row(text: str, language: str, ready: bool, name: str = "") -> str:
    """A button that puts `text` on the clipboard; the page's script does it. It has its place before it is `ready`."""
    label = f"{say('copy', language)} {name}".strip()
    return (
        f'<div class="mm-row"><button type="button" class="mm-small" data-mm-copy="{escape(text)}" '
        f'data-mm-done="{say("copied", language)}" aria-label="{escape(label)}"{"" if ready else " disabled"}>'
        f"{say('copy', language)}</button></div>"
    )


NOTHING = Provenance("")
"""Of a result that is still to come."""


def picture(url: str, alt: str) -> str:
    """The picture a result is about, or a blank of the same size while there is none."""
    if not url:
        return '<div class="mm-picture mm-blank" aria-hidden="true"></div>'
    return f'<img class="mm-picture" src="{escape(url)}" alt="{escape(alt)}" loading="lazy">'


def card(of: Description, url: str, language: str) -> str:
    """The result of one picture: it, what was said of it, what else was found, and from what."""
    asked = ""
    if of.question:
        asked = f'<p class="mm-asked">{escape(say("answer_to", language, question=of.question))}</p>'
    words = f'<p class="mm-answer" aria-live="polite">{escape(of.text)}{"" if of.done else _CARET}</p>'
    body = failed(of, language) if of.error else asked + words + copy_row(of.text, language, of.done)
    return (
        f'<article class="mm-card">{picture(url, of.text or of.file)}<div class="mm-said">{body}{_labels(of, language)}'
        f"{_read(of, language)}{provenance(of.provenance, language) if of.done else ''}</div></article>"
    )


_CARET = '<span class="mm-caret" aria-hidden="true"></span>'


def _labels(of: Description, language: str) -> str:
    return f'<h3 class="mm-head">{say("labels_seen", language)}</h3>{labels(of.labels)}' if of.labels else ""


def labels(some: Sequence[Label]) -> str:
    """Classes with their probabilities, as bars."""
    rows = "".join(
        f'<li><span class="mm-label">{escape(label.name)}</span><span class="mm-bar" aria-hidden="true">'
        f'<span style="width:{100 * label.probability:.0f}%"></span></span>'
        f'<span class="mm-number">{100 * label.probability:.0f} %</span></li>'
        for label in some
    )
    return f'<ul class="mm-labels">{rows}</ul>'


def _read(of: Description, language: str) -> str:
    if not of.text_read:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in of.text_read)
    return f'<h3 class="mm-head">{say("text_read", language)}</h3><ul class="mm-read">{lines}</ul>'


def gallery(results: Sequence[Description | None], urls: Sequence[str], names: Sequence[str], language: str) -> str:
    """A batch: every picture with its caption, or what is wrong with it; None where it is still to come."""
    return f'<ul class="mm-gallery">{"".join(map(_tile, results, urls, names, [language] * len(urls)))}</ul>'


def _tile(of: Description | None, url: str, name: str, language: str) -> str:
    if of is None:
        words = '<span class="mm-wait" aria-hidden="true"></span>'
    elif of.error:
        words = failed(of, language)
    else:
        button = copy_row(of.text, language, of.done, name)
        words = f"<p>{escape(of.text)}{'' if of.done else _CARET}</p>{button}"
    alt = of.text if of and of.text else name
    return (
        f'<li class="mm-tile"><figure>{picture(url, alt)}<figcaption><span class="mm-file">{escape(name)}</span>'
        f"{words}</figcaption></figure></li>"
    )

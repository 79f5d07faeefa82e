"""Segments on the page: a player, rows and words that play it from there, and what was heard."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from html import escape
from pathlib import Path

from mmdemo.results import Segment, Track, Transcript
from mmdemo.ui.i18n import say
from mmdemo.ui.parts import clock, copy_row, failed, note, provenance


def cues(segments: Sequence[Segment], language: str, kinds: bool, done: bool = True) -> str:
    """Segments as a table; each row plays the file from there, by click, touch or key."""
    if not segments:
        return note(say("nothing_found" if kinds else "no_speech", language)) if done else ""
    columns = ("col_start", "col_end", "col_kind", "col_text") if kinds else ("col_start", "col_end", "col_text")
    head = "".join(f'<th scope="col">{say(key, language)}</th>' for key in columns)
    rows = "".join(_cue(segment, language, kinds) for segment in segments)
    caption = say("cues" if kinds else "segments", language)
    return (
        f'<div class="mm-scroll" tabindex="0" role="region" aria-label="{caption}"><table class="mm-table mm-cues">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cue(segment: Segment, language: str, kinds: bool) -> str:
    begin = clock(segment.start)
    button = (
        f'<button type="button" class="mm-seek" data-mm-seek="{segment.start:.3f}" '
        f'aria-label="{escape(say("seek_to", language, time=begin))}">{begin}</button>'
    )
    kind = f'<td><span class="mm-kind mm-{segment.kind}">{say("kind_" + segment.kind, language)}</span></td>'
    return (
        f'<tr data-mm-seek="{segment.start:.3f}"><td>{button}</td><td class="mm-time">{clock(segment.end)}</td>'
        f"{kind if kinds else ''}<td>{_words(segment)}</td></tr>"
    )


def _words(segment: Segment) -> str:
    """The text of a segment, each timed word in it a button: one stop of the Tab key, arrow keys for the rest."""
    html, rest = "", segment.text.strip()
    for place, word in enumerate(word for word in segment.words if word.text.strip()):
        text = word.text.strip()
        before, found, rest = rest.partition(text)
        if not found:  # the words are not those of the text, which someone may have corrected
            return escape(segment.text.strip())
        html += (
            f'{escape(before)}<button type="button" class="mm-word" data-mm-seek="{word.start:.3f}" '
            f'tabindex="{-1 if place else 0}" title="{clock(word.start)} · {word.probability:.0%}">'
            f"{escape(text)}</button>"
        )
    return html + escape(rest)


def heard(of: Transcript | Track, language: str) -> str:
    """Language, length and provenance of a transcript or track, in one line each."""
    facts = []
    if of.language and isinstance(of, Transcript) and 0 < of.language_probability < 1:
        facts.append(say("language_sure", language, name=of.language, percent=round(100 * of.language_probability)))
    elif of.language:
        facts.append(say("language_heard", language, name=of.language))
    if of.seconds:
        facts.append(say("length", language, time=clock(of.seconds)))
    line = f'<p class="mm-facts">{escape(" · ".join(facts))}</p>' if facts else ""
    return line + (provenance(of.provenance, language) if of.done else "")


def transcript(of: Transcript, url: str, name: str, language: str) -> str:
    """One recording: a player, its segments, what was heard and from what."""
    title = escape(f"{say('playing', language)} {name}")
    player = f'<audio controls preload="metadata" src="{escape(url)}" aria-label="{title}"></audio>' if url else ""
    silent = of.done and not of.segments
    body = failed(of, language) if of.error else cues(of.segments, language, kinds=False, done=of.done)
    # The row of buttons is there from the first word on: rows that are read must not jump when the last one has come.
    row = "" if of.error or silent else copy_row(of.text, language, of.done, name)
    return (
        f'<article class="mm-recording" data-mm-media><h3 class="mm-head">{escape(name)}</h3>{player}{row}{body}'
        f"{heard(of, language)}</article>"
    )


def player(path: Path, urls: Sequence[str], language: str, subtitles: str = "") -> str:
    """A video or recording with its subtitles, and the words for a browser that cannot play it.

    Args:
        urls: where its file is; what follows is tried where the browser cannot play what comes before.
        subtitles: WebVTT.
    """
    kind = "audio" if (mimetypes.guess_type(path.name)[0] or "").startswith("audio/") else "video"
    sources = "".join(f'<source src="{escape(url)}">' for url in urls)
    track = ""
    if subtitles:
        data = base64.b64encode(subtitles.encode()).decode()
        track = (
            f'<track default kind="subtitles" label="{escape(say("cues", language))}" '
            f'src="data:text/vtt;charset=utf-8;base64,{data}">'
        )
    name = escape(f"{say('playing', language)} {path.name}")
    return (
        f'<{kind} controls playsinline preload="metadata" class="mm-film" aria-label="{name}">{sources}{track}</{kind}>'
        f'<p class="mm-facts mm-unplayable" role="status">{escape(say("unplayable", language, name=path.name))}</p>'
    )

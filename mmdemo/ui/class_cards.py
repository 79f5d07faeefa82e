"""What a classifier says of a text, picture or recording as HTML: classes with bars, or a text with what it names."""

from __future__ import annotations

from html import escape

from mmdemo.results import Classification
from mmdemo.ui import parts
from mmdemo.ui.i18n import say
from mmdemo.ui.sentences import translate


def html(of: Classification, media: str, language: str) -> str:
    """A result.

    Args:
        media: the picture or the player that it is about, as HTML; empty for a text.
    """
    if of.error:
        return parts.error(translate(of.error, language))
    said = parts.labels(of.labels) if of.labels else tagged(of, language)
    return f'<article class="mm-job">{media}{said}{parts.provenance(of.provenance, language)}</article>'


def tagged(of: Classification, language: str) -> str:
    """The text with each stretch marked that is named, what it is, and how sure that is."""
    pieces, end = [], 0
    for one in sorted(of.entities, key=lambda entity: entity.start):
        if one.start < end:
            continue  # it overlaps the one before
        kind = f"{escape(one.kind)} {100 * one.probability:.0f} %"
        pieces += [
            escape(of.text[end : one.start]),
            f'<mark class="mm-named">{escape(one.text)} <small>{kind}</small></mark>',
        ]
        end = one.end
    none = "" if of.entities else f'<p class="mm-from">{escape(say("nothing_named", language))}</p>'
    return f'<p class="mm-answer">{"".join(pieces)}{escape(of.text[end:])}</p>{none}'

"""An explanation as HTML: words to pick, where each looked, what it would be without a modality, what the model saw."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from mmdemo.results import Explanation, Reason, Sights
from mmdemo.ui import heat, parts
from mmdemo.ui.i18n import say
from mmdemo.ui.run_cards import table


def html(of: Explanation, url: str, language: str) -> str:
    """All of it; the first word that says much is chosen.

    Args:
        url: where the picture is, if it is a picture; frames of a video are in the explanation.
    """
    first = _telling(of.reasons)
    words = "".join(_word(place, one, place == first) for place, one in enumerate(of.reasons))
    panels = "".join(_panel(place, of, url, place == first, language) for place in range(len(of.reasons)))
    title = escape(say("why_words", language))
    return (
        f'<section class="mm-why" data-mm-why aria-label="{title}"><p class="mm-muted">{title}</p>'
        f'<div class="mm-why-words" role="group" aria-label="{title}">{words}</div>{panels}'
        f"{_table(of, language)}{sees(of.sights, language)}{parts.provenance(of.provenance, language)}</section>"
    )


def _telling(reasons: Sequence[Reason]) -> int:
    """The word that is worth seeing first: for which the likelihood falls most without a modality, if that is known."""
    lost = [max((one.probability / max(x, 1e-9) for x in one.without.values()), default=1.0) for one in reasons]
    return int(np.argmax(lost)) if lost else 0


def _word(place: int, one: Reason, chosen: bool) -> str:
    pressed = "true" if chosen else "false"
    return (
        f'<button type="button" class="mm-why-word" data-mm-word="{place}" aria-pressed="{pressed}">'
        f"{escape(one.text)}</button>"
    )


def _panel(place: int, of: Explanation, url: str, chosen: bool, language: str) -> str:
    """What is shown of one word."""
    one = of.reasons[place]
    shown = "".join(_looked(modality, one, of, url, language) for modality in one.looked)
    return (
        f'<div class="mm-why-panel" data-mm-panel="{place}"{"" if chosen else " hidden"}>'
        f'<p class="mm-why-line">{escape(line(one, of, language))}</p>{shown}</div>'
    )


def line(one: Reason, of: Explanation, language: str) -> str:
    """A word's numbers in a sentence: how likely it was, how likely without a modality, where most of it was."""
    told = [say("why_likely", language, word=one.text, percent=_percent(one.probability))]
    many = len(one.looked) > 1
    for modality in one.looked:
        if many:
            name = say(f"modality_{modality}", language)
            told.append(say("why_share", language, modality=name, percent=_percent(one.share(modality))))
        where = _where(modality, one, of, language)
        if where:
            told.append(say("why_most", language, where=where))
    told += [say(f"without_{modality}", language, percent=_percent(value)) for modality, value in one.without.items()]
    return " · ".join(told)


def _where(modality: str, one: Reason, of: Explanation, language: str) -> str:
    """Where most of it was, in words; empty where there is only one place."""
    weights = one.looked[modality]
    if weights.size < 2 or modality == "text":
        return ""
    frame, row, column = np.unravel_index(int(weights.argmax()), weights.shape)
    if modality == "audio":
        return parts.clock(of.sights.start + (column + 0.5) / weights.shape[2] * of.sights.seconds)
    region = say(f"region_{_third(row, weights.shape[1])}{_third(column, weights.shape[2])}", language)
    if len(weights) > 1 and len(of.sights.times) == len(weights):
        return say("why_frame", language, where=region, time=parts.clock(of.sights.times[frame]))
    return region


def _third(place: np.intp, count: int) -> int:
    """0, 1 or 2: the beginning, the middle, the end."""
    return min(2, int(3 * (int(place) + 0.5) / count))


def _looked(modality: str, one: Reason, of: Explanation, url: str, language: str) -> str:
    """The heat maps of a modality over what they are about."""
    weights = one.looked[modality]
    most = float(weights.max())
    name = say(f"modality_{modality}", language)
    if modality == "audio" and of.sights.mel is not None:
        alt = say("why_map", language, word=one.text, what=name)
        under, over = heat.spectrogram(of.sights.mel), heat.heat(weights[0], most)
        begin, end = (parts.clock(time) for time in (of.sights.start, of.sights.start + of.sights.seconds))
        caption = f"<span>{begin}</span><span>{end}</span>"
        return _figure(under, over, alt, caption, "mm-look mm-look-sound")
    if modality != "vision":
        return ""
    several = len(of.sights.pictures) > 1
    frames = []
    for place, pixels in enumerate(of.sights.pictures[: len(weights)]):
        alt = say("why_map", language, word=one.text, what=name)
        share = say("percent", language, percent=round(100 * float(weights[place].sum())))
        time = parts.clock(of.sights.times[place]) if place < len(of.sights.times) else ""
        caption = " · ".join(filter(None, (time, share if several else "")))
        under = url or heat.picture(pixels)
        frames.append(_figure(under, heat.heat(weights[place], most), alt, escape(caption), "mm-look"))
    return f'<div class="mm-looks{" mm-looks-many" if several else ""}">{"".join(frames)}</div>'


def _figure(under: str, over: str, alt: str, caption: str, kind: str) -> str:
    words = f'<figcaption class="mm-from">{caption}</figcaption>' if caption else ""
    return (
        f'<figure class="{kind}"><div class="mm-look-box"><img src="{escape(under)}" alt="{escape(alt)}">'
        f'<img class="mm-heat" src="{over}" alt=""></div>{words}</figure>'
    )


def _table(of: Explanation, language: str) -> str:
    """All words with their numbers, for who reads rather than looks."""
    keys = ["word", "likely"]
    many = of.reasons and len(of.reasons[0].looked) > 1
    shares = list(of.reasons[0].looked) if many else []
    absent = list(of.reasons[0].without) if of.reasons else []
    keys += [f"share_{name}" for name in shares] + [f"without_{name}" for name in absent]
    rows = ""
    for one in of.reasons:
        cells = [_percent(one.probability), *(_percent(one.share(name)) for name in shares)]
        cells += [_percent(one.without[name]) if name in one.without else "–" for name in absent]
        body = "".join(
            f'<td data-mm-name="{escape(say(f"col_{key}", language))}">{cell}</td>'
            for key, cell in zip(keys[1:], cells, strict=True)
        )
        rows += f'<tr><th scope="row">{escape(one.text)}</th>{body}</tr>'
    title = say("why_table", language)
    return (
        f'<details class="mm-details"><summary>{escape(title)}</summary>{table(keys, rows, title, language)}</details>'
    )


def sees(of: Sights, language: str) -> str:
    """What the model was given: pictures as its encoder reads them, their segments, the sound as log-mel, tokens."""
    shown = ""
    for place, pixels in enumerate(of.pictures):
        height, width = pixels.shape[:2]
        time = f"{parts.clock(of.times[place])} · " if place < len(of.times) else ""
        words = time + say("sees_picture", language, width=width, height=height)
        shown += _seen(heat.picture(pixels), words)
        if place < len(of.segments):
            part = round(100 * float((of.segments[place] > 0).mean()))
            shown += _seen(heat.front(pixels, of.segments[place]), say("sees_segments", language, percent=part))
    body = f'<div class="mm-looks mm-looks-many">{shown}</div>' if shown else ""
    if of.mel is not None:
        bands, frames = of.mel.shape
        words = say("sees_mel", language, bands=bands, frames=frames, time=parts.clock(of.seconds))
        body += _seen(heat.spectrogram(of.mel), words, "mm-look mm-look-sound")
    for name, pieces in (("sees_read", of.read), ("sees_tokens", of.tokens)):
        if not pieces:
            continue
        tokens = "".join(f'<code class="mm-token">{escape(token)}</code>' for token in pieces)
        words = say(name, language, count=len(pieces))
        body += f'<p class="mm-from">{escape(words)}</p><p class="mm-tokens">{tokens}</p>'
    title = escape(say("sees_title", language))
    return f'<details class="mm-details" data-mm-sees><summary>{title}</summary>{body}</details>' if body else ""


def _seen(source: str, words: str, kind: str = "mm-look") -> str:
    return (
        f'<figure class="{kind}"><div class="mm-look-box"><img src="{source}" alt="{escape(words)}"></div>'
        f'<figcaption class="mm-from">{escape(words)}</figcaption></figure>'
    )


def _percent(share: float) -> str:
    """0 to 1 as 12 %, small ones as < 1 %."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"

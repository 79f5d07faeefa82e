"""A chain as a diagram: its parts in order, shapes between them, what is learned, and what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mmdemo.ui import parts
from mmdemo.ui.i18n import say
from mmdemo.ui.sentences import translate

if TYPE_CHECKING:
    from mmdemo.fusion.shape import Chain, Part

ROLES = {  # what goes in is called by its modality
    "encoder": "link_encoder",
    "projector": "link_projector",
    "fusion": "link_fusion",
    "language model": "link_language",
    "space": "link_space",
    "class": "link_class",
}


def html(chain: Chain, language: str) -> str:
    """The diagram, or why there is no such chain."""
    if chain.problems:
        return "".join(parts.error(translate(one, language)) for one in chain.problems)
    lanes: dict[str, list[Part]] = {}
    for one in chain.parts:
        if one.modality:
            lanes.setdefault(one.modality, []).append(one)
    last = [one for one in chain.parts if not one.modality]
    rows = "".join(_lane(modality, links, language) for modality, links in lanes.items())
    ends = _ARROW.join(_box(one, language) for one in last)
    title = escape(say("chain_title", language))
    return (
        f'<section class="mm-chain" aria-label="{title}"><div class="mm-lanes">{rows}</div>'
        f'<div class="mm-lane mm-lane-ends">{_ARROW}{ends}</div></section>{totals(chain, language)}'
    )


_ARROW = '<span class="mm-arrow" aria-hidden="true"></span>'


def _lane(modality: str, links: Sequence[Part], language: str) -> str:
    """One modality, from what is read to the language model's space."""
    name = escape(say(f"modality_{modality}", language))
    boxes = _ARROW.join(_box(one, language) for one in links)
    return f'<div class="mm-lane" role="group" aria-label="{name}">{boxes}</div>'


def _box(one: Part, language: str) -> str:
    """A part: what it is, what it gives, how many parameters it has and whether they are learned."""
    role = capital(say(ROLES.get(one.role, f"modality_{one.modality}"), language))
    learned, frozen = one.trainable, one.frozen
    state = "learned" if learned else "frozen" if frozen else "plain"
    lines = [
        f"<strong>{escape(role)}</strong>",
        f"<span>{escape(one.kind).replace('_', '_<wbr>')}</span>",
        f"<code>{shape(one.output)}</code>",
    ]
    if learned:
        lines.append(f'<span class="mm-learned">● {escape(say("link_learned", language, count=count(learned)))}</span>')
    if frozen:
        lines.append(f'<span class="mm-frozen">❄ {escape(say("link_frozen", language, count=count(frozen)))}</span>')
    if learned or frozen:
        lines.append(f'<span class="mm-muted">{parts.size(one.bytes)}</span>')
    return f'<div class="mm-link mm-link-{state}">{"".join(lines)}</div>'


def totals(chain: Chain, language: str) -> str:
    """Parameters and memory of all of it."""
    line = say(
        "chain_totals", language, learned=count(chain.trainable), frozen=count(chain.frozen),
        size=parts.size(chain.bytes), training=parts.size(chain.training_bytes),
    )  # fmt: skip
    return f'<p class="mm-from">{escape(line)}</p>'


def capital(words: str) -> str:
    """With its first letter in upper case."""
    return words[:1].upper() + words[1:]


def shape(sizes: Sequence[int]) -> str:
    """81 × 576."""
    return " × ".join(f"{size:,}" for size in sizes)


def count(number: int) -> str:
    """Parameters: 12, 3.4 k, 1.2 M, 135 M."""
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= one:
            share = number / one
            return f"{share:.1f} {unit}" if share < 100 else f"{share:.0f} {unit}"
    return str(number)

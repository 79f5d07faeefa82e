"""A blind vote on a finished training: two answers side by side with the row's media, nobody knows which is newer."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.settings import Settings
from mmdemo.training.ballot import CHOICES, Ballot, Question, Tally
from mmdemo.ui import media_cards, parts
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import private
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.run_cards import short


class BallotView:
    """The vote on one training; hidden where there is nothing to vote on."""

    def __init__(self, context: Context, tab: str = "train") -> None:
        """Place it here.

        Args:
            tab: of the view that it is part of; sets apart the elements' names.
        """
        self.context = context
        own = "mm-vote" if tab == "train" else f"mm-{tab}-vote"
        with gr.Accordion(
            label("vote_title"), open=False, visible=False, elem_classes=["mm-fold"], elem_id=own
        ) as self.place:
            self.card = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"{own}-card")
            with gr.Row(elem_classes=["mm-take"]) as self.row:
                self.buttons = {
                    choice: gr.Button(
                        label(f"vote_{choice}"), size="sm", elem_classes=["mm-action"], elem_id=f"{own}-{choice}"
                    )
                    for choice in CHOICES
                }
            self.tally = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"{own}-tally")
            self.problem = gr.HTML("", elem_classes=["mm-flat"])
        self.run, self.origin = gr.State(""), gr.State("")
        for choice, button in self.buttons.items():
            button.click(self._handler(choice), [self.run, self.origin], self.outputs, **private())

    @property
    def outputs(self) -> list[Any]:
        """What a vote changes."""
        return [self.place, self.card, self.row, self.tally, self.problem, self.run, self.origin]

    def _handler(self, choice: str) -> Any:
        def press(run: str, origin: str, request: gr.Request) -> Updates:
            return self.vote(run, origin, choice, language_of(request))

        return press

    def vote(self, run: str, origin: str, choice: str, language: str) -> Updates:
        """Keep a vote, and ask about the next row."""
        problem = ""
        try:
            job = self.context.studio.jobs.get(run)
            Ballot(job.folder).vote(origin, choice)
        except StudioError as error:
            return {self.problem: parts.error(sentence(error, language, "the blind vote"))}
        return {**self.shown(run, job.folder, language), self.problem: problem}

    def shown(self, run: str, folder: Path | None, language: str) -> Updates:
        """The next row to vote on, and how the votes stand; nothing where the training has no answers to compare."""
        ballot = Ballot(folder) if folder else None
        if not ballot:
            return {self.place: gr.update(visible=False), self.run: "", self.origin: ""}
        asked = ballot.next()
        return {
            self.place: gr.update(visible=True),
            self.card: card(asked, self.context.studio.settings, language) if asked else parts.note(
                say("vote_over", language)
            ),
            self.row: gr.update(visible=asked is not None),
            self.tally: tally(ballot.tally(), len(ballot), language),
            self.run: run,
            self.origin: asked.origin if asked else "",
        }  # fmt: skip


def card(asked: Question, settings: Settings, language: str) -> str:
    """A row and its two answers."""
    media = "".join(media_cards.small(Path(path), settings, language) for path in asked.media)
    given = f"<p>{escape(short(asked.input))}</p>" if asked.input else ""
    sides = "".join(
        f'<section class="mm-side" aria-label="{name}"><h4>{name}</h4><p>{escape(short(text)) or "–"}</p></section>'
        for name, text in (("A", asked.a), ("B", asked.b))
    )
    return (
        f'<article class="mm-change"><p class="mm-from">{escape(say("vote_ask", language))}</p>'
        f'{media}{given}<div class="mm-sides">{sides}</div></article>'
    )


def tally(now: Tally, rows: int, language: str) -> str:
    """How the votes stand, once there are enough; before that only how many."""
    if not now.told:
        words = say("vote_count", language, count=now.votes, needed=now.needed)
        return f'<p class="mm-from">{escape(words)}</p>'
    mark = {"better": "▲", "worse": "▼"}.get(now.verdict, "◆")
    verdict = say(f"vote_{now.verdict}", language, count=now.votes)
    line = say("vote_line", language, after=now.after, before=now.before, same=now.same, bad=now.bad)
    test = ""
    if now.share is not None:
        test = say("vote_test", language, share=f"{now.share:.0%}", low=f"{now.low:.0%}", high=f"{now.high:.0%}",
                   p=f"{now.p:.3f}")  # fmt: skip
    return (
        f'<p class="mm-verdict mm-verdict-{now.verdict}"><span aria-hidden="true">{mark}</span> '
        f"<strong>{escape(verdict)}</strong> <span>{escape(line)}</span></p>"
        f'<p class="mm-from">{escape(test)} {escape(say("vote_left", language, count=rows - now.votes))}</p>'
    )

"""What the tabs share: the studio, the requests that run, and the line with Stop above each result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from mmdemo.errors import Cancelled, StudioError
from mmdemo.runtime.sources.base import Progress
from mmdemo.studio import Studio
from mmdemo.ui import parts
from mmdemo.ui.handlers import quiet
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.pace import Pace
from mmdemo.ui.running import Run, Running, follow
from mmdemo.ui.sentences import translate

log = logging.getLogger("mmdemo.ui")
Updates = dict[Any, Any]


@dataclass
class Context:
    """What every tab gets."""

    studio: Studio
    running: Running = field(default_factory=Running)


@dataclass(frozen=True)
class State:
    """What a tab shows of a request that runs: its components' updates, and how far it is.

    Attributes:
        share: 0 to 1, or None where it is not known.
        count: done and all, where the work can be counted.
        words: said at the end, instead of how long it took.
    """

    updates: Updates
    share: float | None = None
    count: tuple[int, int] | None = None
    words: str = ""


def sentence(error: Exception, language: str, where: str) -> str:
    """What people read when a request fails: the studio's own words, or that something unexpected went wrong.

    Args:
        where: for the program's log, which gets the rest.
    """
    if isinstance(error, StudioError):
        return translate(str(error), language)
    log.error("A request failed in %s", where, exc_info=error)
    return say("unexpected", language, name=type(error).__name__)


class Bench:
    """The line above a result: what runs, how far it is, Stop; afterwards what went wrong or how long it took."""

    def __init__(self, context: Context, tab: str, lasting: bool = True) -> None:
        """Place the components here.

        Args:
            tab: what runs here; a new request ends the one before.
            lasting: whether Stop keeps its place while nothing runs; else it is there only while something does.
        """
        self.context, self.tab, self._lasting = context, tab, lasting
        with gr.Row(elem_classes=["mm-bench"] if lasting else ["mm-bench", "mm-bench-small"]):
            self.status = gr.HTML("", elem_classes=["mm-status-box", "mm-flat"], elem_id=f"mm-{tab}-status")
            self.stop = gr.Button(
                label("stop"), variant="stop", interactive=False, visible=lasting, scale=0, min_width=96,
                elem_classes=["mm-stop"], elem_id=f"mm-{tab}-stop",
            )  # fmt: skip
        self.stop.click(self._stop, None, None, **quiet())

    @property
    def outputs(self) -> list[Any]:
        """The components that `serve` updates besides the tab's own."""
        return [self.status, self.stop]

    def serve(
        self,
        request: gr.Request,
        make: Callable[[Run], Iterator[Any]],
        fold: Callable[[Any], None],
        show: Callable[[bool], State],
    ) -> Iterator[Updates]:
        """Run one request and yield updates until it has ended, whatever way it ends.

        Args:
            make: the studio's events; the generator is read on another thread.
            fold: takes in one result.
            show: what the tab shows now; its argument says whether this is the last time.
        """
        language = language_of(request)
        run = self.context.running.begin(request.session_hash, self.tab)
        waits = self.context.studio.worker.waiting > 0
        line = _Line(language, say("waiting" if waits else "starting", language), self.tab)
        state = show(False)
        yield {**state.updates, self.status: line.html(run, state), self.stop: self._pressable(True)}
        problem = ""
        try:
            for events in follow(lambda: make(run), run):
                results = [event for event in events if not isinstance(event, Progress)]
                for result in results:
                    fold(result)
                line.take(events)
                state = show(False) if results else State({}, state.share, state.count)
                yield {**state.updates, self.status: line.html(run, state)}
        except Cancelled:
            run.halted = True
        except Exception as error:  # noqa: BLE001  # the page stays up whatever a file or a model does
            problem = sentence(error, language, f"the tab {self.tab}")
        if run.replaced:
            return
        state = show(True)
        if problem:
            last = parts.error(problem)
        elif run.halted:
            last = parts.note(say("stopped", language))
        else:
            last = parts.note(state.words or say("done_in", language, seconds=parts.duration(run.seconds)))
        yield {**state.updates, self.status: last, self.stop: self._pressable(False)}

    def refuse(self, words: str) -> Updates:
        """Say why nothing is started."""
        return {self.status: parts.error(words)}

    def note(self, words: str) -> Updates:
        """Say something quietly where the status is."""
        return {self.status: parts.note(words)}

    def clear(self) -> Updates:
        """Say nothing more of what was."""
        return {self.status: ""}

    def _pressable(self, can: bool) -> Any:
        return gr.update(interactive=can) if self._lasting else gr.update(interactive=can, visible=can)

    def _stop(self, request: gr.Request) -> None:
        self.context.running.stop(request.session_hash, self.tab)


class _Line:
    """The status of a request that runs, told by the events that come."""

    def __init__(self, language: str, words: str, tab: str) -> None:
        self._language, self._words, self._tab = language, words, tab
        self._progress: Progress | None = None
        self._pace = Pace()

    def take(self, events: tuple[Any, ...]) -> None:
        """Take in what came: the last stage, or that results come."""
        before = self._words
        stages = [event for event in events if isinstance(event, Progress)]
        if stages:
            self._progress, self._words = stages[-1], translate(stages[-1].stage, self._language)
        elif events:
            self._progress, self._words = None, say(f"working_{self._tab}", self._language)
        if self._words != before:
            self._pace = Pace()  # another step, at another speed

    def html(self, run: Run, state: State) -> str:
        """The line as it stands."""
        words, share, count = self._words, state.share, state.count
        if self._progress is not None:
            words, share, count = parts.fetched(words, self._progress), parts.share_of(self._progress), None
        left = self._pace.left(share, run.seconds)
        return parts.working(words, run.seconds, self._language, share, count, left)

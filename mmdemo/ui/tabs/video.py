"""The tab that makes one time-coded track of a video: what is seen and what is said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.errors import InputError
from mmdemo.results import Track
from mmdemo.runtime.sources.base import Progress
from mmdemo.tasks.caption import Options
from mmdemo.ui import downloads, files, keep, parts, timeline, ways, why
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Area, advanced, drop_area, intro
from mmdemo.ui.keep import Keep
from mmdemo.ui.scratch import scratch
from mmdemo.ui.why import Why

ANOTHER = """
watch("value", () => {
  const player = element.querySelector("video");
  if (player?.networkState === HTMLMediaElement.NETWORK_NO_SOURCE && player.children.length > 1) player.load();
});
"""
"""A player that could play nothing looks again when it is given another file."""


@dataclass
class Work:
    """One request: the video, where the page finds it, and its track so far."""

    path: Path
    url: str = ""
    options: Options = field(default_factory=Options)
    track: Track | None = None


class Video:
    """The tab: what it shows and what its controls do."""

    name = "video"

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        self.form = Form.of("caption")
        self.path, self.track = gr.State(""), gr.State(None)
        with gr.Row(elem_classes=["mm-panel"]):
            with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                self.area: Area = drop_area("video", "drop_video", files.VIDEOS, many=False)
                self.form.place(advanced=False)
                self.go = gr.Button(
                    label("caption_go"), variant="primary", elem_classes=["mm-go"], elem_id="mm-video-go"
                )
                advanced(self.form)
            with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                self.bench = Bench(context, "video")
                self.player = gr.HTML(
                    "", js_on_load=ANOTHER, elem_classes=["mm-player", "mm-flat"], elem_id="mm-video-player"
                )
                self.cues = gr.HTML("", elem_classes=["mm-result", "mm-flat"], elem_id="mm-video-cues")
                self.downloads = downloads.place("video")
                self.burn = gr.Button(
                    label("burn"), size="sm", visible=False, elem_classes=["mm-action"], elem_id="mm-video-burn"
                )
                self.film = gr.DownloadButton(
                    label("burned"), size="sm", visible=False, elem_classes=["mm-action"], elem_id="mm-video-burned"
                )
                self.why = Why(context, "video")
                self.keep = Keep(context, "video")
        self.looks = [intro("intro_video", self.cues), ways.follow(self.form, context)]
        self.listeners = self._wire()

    def _wire(self) -> list[Any]:
        outputs = [self.area.drop, self.path, self.track, self.player, self.cues, self.burn, self.film]
        outputs += [*self.downloads.values(), *self.why.outputs, *self.keep.outputs, *self.bench.outputs]
        options = self.form.inputs
        return [
            *self.why.listeners,
            listen(self.area.drop.upload, self.given, [self.area.drop, *options], outputs),
            listen(self.go.click, self.given, [self.path, *options], outputs),
            listen(self.burn.click, self.write_captions, [self.path, self.track], outputs),
            *(listen(button.click, self.tried(path), options, outputs) for button, path in self.area.samples.items()),
        ]

    def given(self, path: str | None, *values: Any) -> Iterator[Updates]:
        """Caption a video that was just given, or the same again."""
        if path:
            yield from self.work(Path(path), values)
        else:
            yield self.bench.refuse(say("no_files", language_of(values[-1])))

    def tried(self, path: Path) -> Any:
        """A handler that captions a sample."""

        def sample(*values: Any) -> Iterator[Updates]:
            yield from self.work(path, values)

        return sample

    def work(self, path: Path, values: Sequence[Any]) -> Iterator[Updates]:
        """Run the task and yield what the tab shows."""
        *chosen, request = values
        language = language_of(request)
        work = Work(path, self.url(path))
        yield {
            self.area.drop: None,
            self.path: str(path),
            self.track: None,
            self.player: timeline.player(path, [work.url], language) if work.url else "",
            self.cues: "",
            self.burn: gr.update(visible=False),
            self.film: gr.update(visible=False),
            **downloads.hidden(self.downloads),
            **self.why.hidden(),
            **self.keep.hidden(),
        }

        def make(run: Any) -> Iterator[Any]:
            options = self.form.read(chosen)
            work.options = options
            return self.context.studio.run("caption", [path], options, run.stop, run.who)

        def fold(track: Track) -> None:
            work.track = track

        yield from self.bench.serve(request, make, fold, lambda last: self.show(work, language, last))

    def url(self, path: Path) -> str:
        """Where the page finds a file to play; empty for one that holds neither picture nor sound.

        The file is served as it is: whether it can be played, the browser finds out, and the page then says so.
        """
        from mmdemo.media.video import probe

        try:
            probe(path, self.context.studio.settings)
        except InputError:  # the task says why
            return ""
        return parts.file_url(files.public(path))

    def show(self, work: Work, language: str, last: bool) -> State:
        """The result column as it stands."""
        track = work.track
        if track is None:
            return State({})
        updates: Updates = {
            self.cues: parts.failed(track, language)
            if track.error
            else timeline.cues(track.segments, language, kinds=True, done=track.done) + timeline.heard(track, language)
        }
        if last and track.segments:
            updates |= downloads.filled(self.downloads, track, work.path.stem)
            updates |= self.keep.filled(keep.of_segments(track) if track.done else [])
            updates |= self.why.filled(why.of_track(track, work.options) if track.done else [])
            updates |= {self.track: track, self.burn: gr.update(visible=True)}
            if work.url:
                vtt = downloads.text(track, "vtt")
                updates[self.player] = timeline.player(work.path, [work.url], language, vtt)
        return State(updates, share=track.progress)

    def write_captions(self, path: str, track: Track | None, request: gr.Request) -> Iterator[Updates]:
        """Write the captions into a copy of the video, which the player takes where it cannot play the original."""
        language = language_of(request)
        if not path or track is None:
            yield self.bench.refuse(say("no_files", language))
            return
        place = scratch.place(f"{Path(path).stem}-captions.mp4")
        made: list[Path] = []

        def make(run: Any) -> Iterator[Any]:
            from mmdemo.media.render import burn_in

            try:
                yield Progress(say("burning", language))
                burn_in(Path(path), track.segments, place, self.context.studio.settings, run.stop.is_set)
                made.append(place)
            finally:
                if not made:  # stopped, or it failed
                    shutil.rmtree(place.parent, ignore_errors=True)

        def show(last: bool) -> State:
            if not (last and made):
                return State({self.film: gr.update(visible=False)})
            urls = [parts.file_url(files.public(Path(path))), parts.file_url(place)]
            shown = timeline.player(Path(path), urls, language, downloads.text(track, "vtt"))
            return State({self.film: gr.update(value=str(place), visible=True), self.player: shown})

        yield from self.bench.serve(request, make, lambda event: None, show)

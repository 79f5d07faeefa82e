"""Videos that are not what most are, from the file to the subtitles: one frame, a variable rate, a turned phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from mmdemo.media.subtitles import as_file
from mmdemo.results import Track
from mmdemo.runtime.base import Seen
from mmdemo.tasks.caption import Options, run
from tests.media.clips import COLOURS, turned, video
from tests.tasks.scripted import ScriptedDescriber, ScriptedManager


class Surveyor(ScriptedDescriber):
    """Says how large a picture is and the colours of its corners, clockwise from the top left."""

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        for index, image in enumerate(images):
            width, height = image.size
            corners = ((9, 9), (width - 9, 9), (width - 9, height - 9), (9, height - 9))
            seen = " ".join(colour(image.getpixel(corner)) for corner in corners)  # type: ignore[arg-type]
            yield Seen(index, f"{width} × {height}: {seen}", done=True)


def colour(pixel: tuple[int, int, int]) -> str:
    """The name of the nearest of `COLOURS`."""
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))


def subtitles(clip: Path) -> tuple[Track, str]:
    """The finished track of a video, and its WebVTT."""
    manager = ScriptedManager({"starter-describer": Surveyor(())})
    events = run(manager, [clip], Options(speech=False), lambda: False)  # type: ignore[arg-type]
    tracks = [event for event in events if isinstance(event, Track)]
    assert [track.done for track in tracks] == [False] * (len(tracks) - 1) + [True]
    return tracks[-1], as_file(tracks[-1].segments, "vtt")


def test_a_video_of_one_frame_has_one_cue(tmp_path: Path) -> None:
    track, vtt = subtitles(video(tmp_path / "a.mp4", [("green", 0.0)]))
    assert vtt == "WEBVTT\n\n00:00:00.000 --> 00:00:00.040\n160 × 96: green green green green\n\n"
    assert (track.progress, track.error) == (1.0, "")
    assert track.seconds == pytest.approx(0.04, abs=0.001)


def test_a_variable_frame_rate_has_cues_at_the_frames_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.5, 3.0, 3.1, 3.2, 6.0, 6.04, 6.08, 9.0]
    track, vtt = subtitles(video(tmp_path / "a.mp4", [("red", 5 / 25), ("blue", 4 / 25)], times=times))
    assert vtt.splitlines()[2:5] == ["00:00:00.000 --> 00:00:06.000", "160 × 96: red red red red", ""]
    assert vtt.splitlines()[5].startswith("00:00:06.000 --> 00:00:10.0")  # a frame a second is its mean rate
    assert vtt.splitlines()[6:] == ["160 × 96: blue blue blue blue", ""]
    assert track.seconds >= track.segments[-1].end


@pytest.mark.parametrize(
    ("degrees", "said"),
    [  # FFmpeg counts the display rotation anticlockwise: at 90 degrees the red top goes to the left
        (90, "96 × 160: red blue blue red"),
        (-90, "96 × 160: blue red red blue"),
        (180, "160 × 96: blue blue red red"),
    ],
)
def test_a_phone_video_is_described_upright(tmp_path: Path, degrees: int, said: str) -> None:
    flat = video(tmp_path / "flat.mp4", [("blue", 1.0)], top="red")
    track, vtt = subtitles(turned(flat, tmp_path / "phone.mp4", degrees))
    assert vtt == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{said}\n\n"
    assert track.seconds == pytest.approx(1.0)

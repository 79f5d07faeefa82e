"""`caption` on the command line, with a describer and a transcriber that need no weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo.cli.output import rendered
from mmdemo.results import Provenance, Segment, Track

Command = Callable[..., tuple[int, str, str]]
BOTH = ("--model", "fake-eye", "--speech-model", "fake-ear")
CLIP = Path(__file__).parents[2] / "assets" / "samples" / "clip.mp4"


def test_srt_with_what_is_seen_and_what_is_heard(command: Command) -> None:
    status, out, _ = command("caption", CLIP, *BOTH)
    assert status == 0
    assert out.startswith("1\n00:00:00,000 --> ")
    assert "A picture 640 wide, as sentence." in out.replace("\n", " ")
    assert "heard with 5" in out


def test_json_says_of_each_segment_where_it_came_from(command: Command) -> None:
    status, out, _ = command("caption", CLIP, *BOTH, "--json", "--no-scenes")
    found = json.loads(out)
    assert (status, found["model"], found["file"]) == (0, "fake-ear", str(CLIP))
    assert found["duration"] == pytest.approx(9.2, abs=0.1)
    assert {segment["kind"] for segment in found["segments"]} == {"speech"}
    assert found["text"] == "\n".join(segment["text"] for segment in found["segments"])


def test_a_bad_video_among_good_ones(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("text that was renamed")
    status, out, err = command("caption", bad, CLIP, *BOTH, "--json", "-o", tmp_path / "out")
    assert status == 1
    assert ["error" in json.loads(line) for line in out.splitlines()] == [True, False]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.srt"]
    assert "bad.mp4" in err


def test_nothing_to_do_is_said(command: Command) -> None:
    status, out, err = command("caption", CLIP, *BOTH, "--no-scenes", "--no-speech")
    assert (status, out) == (1, "")
    assert "There is nothing to do: turn on scenes, speech or both." in err


def test_cues_stay_in_order_of_time() -> None:
    long = Segment(0.0, 12.0, "one two three four five six seven eight nine ten eleven twelve " * 2)
    track = Track("x", (long, Segment(2.0, 5.0, "a dog runs", "scene")), Provenance("fake"), seconds=12.0)
    starts = [line.split(" --> ")[0] for line in rendered(Path("x"), track, "srt").splitlines() if "-->" in line]
    assert len(starts) > 2
    assert starts == sorted(starts)

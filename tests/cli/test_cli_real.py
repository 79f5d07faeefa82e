"""The command line as a user runs it: its own process, real weights, real files, one bad file among them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jiwer
import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "assets" / "samples"
pytestmark = pytest.mark.weights


def mmdemo(*words: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    command = [sys.executable, "-m", "mmdemo", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


def lines(out: str) -> dict[str, dict[str, Any]]:
    """JSON lines by the name of their file."""
    return {Path(found["file"]).name: found for found in map(json.loads, out.splitlines())}


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Text in a file that claims to be everything."""
    path = tmp_path / "bad.mp4"
    path.write_text("this is text")
    return path


def words(text: str) -> str:
    """Lower case, letters and spaces alone."""
    return " ".join("".join(c if c.isalpha() or c == " " else " " for c in text.lower()).split())


def test_describe_names_what_is_in_the_samples(bad: Path) -> None:
    pictures = sorted(SAMPLES.glob("*.jpg"))
    status, out, err = mmdemo("describe", *pictures, bad, "--json")
    found = lines(out)
    assert status == 1
    assert set(found) == {path.name for path in pictures} | {"bad.mp4"}
    assert set(found["bad.mp4"]) == {"file", "error"}
    assert "bad.mp4" in err
    assert "Traceback" not in err
    assert found["coffee.jpg"]["labels"][0]["name"] == "espresso"
    assert found["tripod.jpg"]["labels"][0]["name"] == "tripod"
    assert (found["coffee.jpg"]["text"], found["tripod.jpg"]["text"]) == ("Espresso.", "A tripod.")
    assert len(found["astronaut.jpg"]["text"].split()) > 3
    for path in pictures:
        said = found[path.name]
        assert said["model"] == "starter-describer"
        assert said["text"][0].isupper()
        assert said["text"].endswith(".")
        assert said["text"][:-1]
        assert said["seconds"] > 0


@pytest.mark.data
def test_transcribe_hears_what_is_said(data: Path, bad: Path) -> None:
    rows = [json.loads(line) for line in (data / "speech_en" / "metadata.jsonl").read_text("utf-8").splitlines()]
    chosen = [row for row in rows if row["file"].startswith(("lj_", "libri_"))]
    files = [data / "speech_en" / row["file"] for row in chosen]
    status, out, err = mmdemo("transcribe", *files, bad, "--json", "--words")
    found = lines(out)
    assert status == 1
    assert len(found) == len(files) + 1
    assert "error" in found["bad.mp4"]
    assert "Traceback" not in err
    said = [words(found[row["file"]]["text"]) for row in chosen]
    assert jiwer.wer([words(row["text"]) for row in chosen], said) < 0.1
    for row in chosen:
        one = found[row["file"]]
        assert one["language"] == "en"
        assert one["duration"] == pytest.approx(row["seconds"], abs=0.05)
        for segment in one["segments"]:
            assert 0 <= segment["start"] < segment["end"] <= one["duration"] + 0.1
            assert segment["words"]


def test_caption_writes_subtitles_of_what_is_seen_and_said(bad: Path, tmp_path: Path) -> None:
    status, out, err = mmdemo("caption", bad, SAMPLES / "clip.mp4", "--json", "--format", "vtt", "-o", tmp_path / "out")
    found = lines(out)
    assert status == 1
    assert "error" in found["bad.mp4"]
    assert "Traceback" not in err
    segments = found["clip.mp4"]["segments"]
    scenes = [one for one in segments if one["kind"] == "scene"]
    assert [round(one["start"]) for one in scenes] == [0, 3, 5, 6]
    heard = words(" ".join(one["text"] for one in segments if one["kind"] == "speech"))
    assert "casting setting or printing beautiful letters" in heard
    written = (tmp_path / "out" / "clip.vtt").read_text("utf-8")
    assert written.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\n")


def test_everything_worked_is_status_zero() -> None:
    status, out, _ = mmdemo("transcribe", SAMPLES / "speech.flac", "--model", "whisper-tiny.en", "--beams", 1)
    assert status == 0
    assert words(out).startswith("printing in the only sense with which we are at present concerned")


def test_ctrl_c_while_a_model_loads_ends_at_once_and_quietly() -> None:
    command = [sys.executable, "-m", "mmdemo", "transcribe", str(SAMPLES / "speech.flac")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("Loading")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "Stopped."

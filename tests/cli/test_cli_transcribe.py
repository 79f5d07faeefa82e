"""`transcribe` on the command line, with a transcriber that needs no weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Command = Callable[..., tuple[int, str, str]]
EAR = ("--model", "fake-ear", "--no-voice-only")


def tone(path: Path, seconds: float = 2.0) -> Path:
    """A file of sound; the fake hears one segment in it."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time), 16_000)
    return path


def test_text_is_printed_by_default(command: Command, tmp_path: Path) -> None:
    assert command("transcribe", tone(tmp_path / "a.wav"), *EAR, "--beams", 3)[:2] == (0, "heard with 3 beams\n")


def test_srt_and_vtt_carry_the_times(command: Command, tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav")
    _, srt, _ = command("transcribe", file, *EAR, "--format", "srt")
    assert srt == "1\n00:00:00,000 --> 00:00:02,000\nheard with 5 beams\n\n"
    _, vtt, _ = command("transcribe", file, *EAR, "--format", "vtt")
    assert vtt == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nheard with 5 beams\n\n"


def test_json_has_segments_in_seconds(command: Command, tmp_path: Path) -> None:
    status, out, _ = command("transcribe", tone(tmp_path / "a.wav"), *EAR, "--json", "--language", "de")
    found = json.loads(out)
    assert (status, out.count("\n")) == (0, 1)
    assert found["text"] == "heard with 5 beams"
    assert (found["model"], found["language"], found["duration"]) == ("fake-ear", "de", 2.0)
    assert found["segments"] == [{"start": 0.0, "end": 2.0, "text": "heard with 5 beams", "kind": "speech"}]
    assert isinstance(found["seconds"], float)


def test_the_json_format_is_the_same_object_in_one_document(command: Command, tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav")
    line = json.loads(command("transcribe", file, *EAR, "--json")[1])
    document = json.loads(command("transcribe", file, *EAR, "--format", "json")[1])
    assert {**document, "seconds": 0} == {**line, "seconds": 0}


def test_one_input_goes_to_the_file_that_is_named(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "talk.srt"
    status, out, err = command("transcribe", tone(tmp_path / "a.wav"), *EAR, "--format", "srt", "-o", target)
    assert (status, out) == (0, "")
    assert target.read_text().endswith("heard with 5 beams\n\n")
    assert str(target) in err


def test_several_inputs_go_to_a_folder_and_the_json_lines_still_come(command: Command, tmp_path: Path) -> None:
    files = [tone(tmp_path / "a.wav"), tone(tmp_path / "b.flac")]
    bad = tmp_path / "bad.mp3"
    bad.write_text("no sound")
    folder = tmp_path / "out"
    status, out, _ = command("transcribe", *files, bad, *EAR, "--format", "vtt", "-o", folder, "--json")
    assert status == 1
    assert sorted(path.name for path in folder.iterdir()) == ["a.vtt", "b.vtt"]
    assert [("error" in json.loads(line)) for line in out.splitlines()] == [False, False, True]


def test_several_inputs_cannot_go_to_one_file(command: Command, tmp_path: Path) -> None:
    files = [tone(tmp_path / "a.wav"), tone(tmp_path / "b.wav")]
    status, out, err = command("transcribe", *files, *EAR, "-o", files[0])
    assert (status, out) == (2, "")
    assert "need a folder" in err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, out, err = command("transcribe", tone(tmp_path / "a.wav"), *EAR, "-o", tmp_path / "file" / "a.txt")
    assert (status, out) == (1, "")
    assert "cannot be written" in err
    assert "Loading" not in err


def test_several_inputs_on_the_screen_say_which_is_which(command: Command, tmp_path: Path) -> None:
    first, second = tone(tmp_path / "a.wav"), tone(tmp_path / "b.wav")
    _, out, _ = command("transcribe", first, second, *EAR)
    assert out == f"{first}:\nheard with 5 beams\n\n{second}:\nheard with 5 beams\n\n"


@pytest.mark.parametrize("form", ["srt", "vtt", "json", "txt"])
def test_a_model_that_cannot_hear_is_refused(command: Command, tmp_path: Path, form: str) -> None:
    status, out, err = command("transcribe", tone(tmp_path / "a.wav"), "--model", "fake-eye", "--format", form)
    assert (status, out) == (1, "")
    assert "whisper-base" in err

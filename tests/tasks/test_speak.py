"""A text is read aloud: by a tiny VITS from a folder, through the task, the studio and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmdemo import torchvision_ops
from mmdemo.cli import main
from mmdemo.errors import InputError, UnknownName, Unsupported
from mmdemo.results import Speech
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.tasks import speak
from mmdemo.tasks.speak import LONGEST, Options, sentences, spelled
from mmdemo.ui import files as page_files
from tests.runtime.backends.tiny_speech import vits

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop
TEXT = "The dog runs. The cat sits!\nIt plays"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torchvision_ops.prepare()
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("voices") / "vits"
    vits(made)
    return str(made)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    home = str(tmp_path_factory.mktemp("home"))
    return Studio(Settings(home=home, device="cpu", threads=1, offline=True))


def spoken(studio: Studio, files: tuple[Path, ...] = (), **options: object) -> list[Speech]:
    events = list(studio.run("speak", files, options))
    return [event for event in events if not isinstance(event, Progress)]  # type: ignore[misc]


def test_speech_grows_sentence_by_sentence_with_a_pause_between(studio: Studio, folder: str) -> None:
    results = spoken(studio, text=TEXT, model=folder, seed=3)
    assert [round(one.progress, 2) for one in results] == [0.33, 0.67, 1.0]
    assert [one.done for one in results] == [False, False, True]
    first, second, last = (one.samples for one in results)
    assert len(first) < len(second) < len(last)
    assert np.array_equal(last[: len(second)], second)
    pause = second[len(first) : len(first) + 4000]
    assert not pause.any(), "a quarter of a second is silent"
    assert results[-1].text == TEXT and results[-1].rate == 16_000
    assert results[-1].seconds == len(last) / 16_000
    assert results[-1].provenance.model == folder and results[-1].provenance.notes == ()
    assert np.array_equal(spoken(studio, text=TEXT, model=folder, seed=3)[-1].samples, last)
    assert len(spoken(studio, text=TEXT, model=folder, speed=2.0)[-1].samples) < len(last)


def test_what_it_cannot_say_is_left_out_with_a_note_or_refused_if_it_is_all(studio: Studio, folder: str) -> None:
    (*_, last) = spoken(studio, text="你好。The dog runs.", model=folder)
    assert last.provenance.notes == ("Parts of the text were left out, because the model cannot say them.",)
    assert last.seconds > 0.1
    with pytest.raises(Unsupported, match="vits finds nothing in that text that it can say"):
        spoken(studio, text="你好。", model=folder)
    with pytest.raises(InputError, match="nothing to read aloud: give a text"):
        spoken(studio, text="  ", model=folder)


def test_text_files_are_read_aloud_one_result_each(studio: Studio, folder: str, tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("The dog runs.", encoding="utf-8")
    other.write_text("The cat sits.", encoding="utf-8")
    results = spoken(studio, (one, other), model=folder)
    assert [(result.file, result.text) for result in results] == [
        (str(one), "The dog runs."), (str(other), "The cat sits."),
    ]  # fmt: skip
    other.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="cannot be read as text: save it as plain text"):
        spoken(studio, (other,), model=folder)


def test_a_model_that_does_not_speak_names_those_that_do(studio: Studio) -> None:
    with pytest.raises(Unsupported, match="Whisper base does not speak; choose one of: mms-tts-eng, speecht5-tts"):
        spoken(studio, text="Hello", model="whisper-base")
    with pytest.raises(UnknownName, match="no model 'nobody'"):
        spoken(studio, text="Hello", model="nobody")
    assert Options().checkpoints() == ("mms-tts-eng",)


def test_a_long_sentence_is_cut_at_a_comma_else_between_words() -> None:
    assert sentences("One. Two! 三。四？ …\n\nFive, six; seven") == [
        "One.", "Two!", "三。", "四？", "Five, six;", "seven",
    ]  # fmt: skip
    with_comma = f"{'a ' * 100}b, {'c ' * 100}d"
    assert sentences(with_comma) == [f"{'a ' * 100}b,", f"{'c ' * 100}d"]
    long = sentences("word " * 200)
    assert all(len(part) <= LONGEST for part in long) and " ".join(long) == ("word " * 200).strip()
    assert [len(part) for part in sentences("x" * (2 * LONGEST + 1))] == [LONGEST, LONGEST, 1]


def test_numbers_become_words_of_the_language_where_it_is_known() -> None:
    assert spelled("It is 3 of 1,200, or 2.5.", "en") == (
        "It is three of one thousand, two hundred, or two point five."
    )
    assert spelled("3", "de") == "drei"
    assert spelled("3", "") == spelled("3", "xx") == "3"
    assert spelled("1" * 400, "en")


def test_the_page_hands_out_the_sound_as_a_file(studio: Studio, folder: str) -> None:
    (*growing, last) = spoken(studio, text=TEXT, model=folder)
    assert "sound" not in page_files.plain(growing[0])
    found = page_files.plain(last)
    assert (found["file"], found["text"], found["rate"]) == ("speech", TEXT, 16_000)
    samples, rate = soundfile.read(found["sound"])
    assert rate == 16_000 and np.allclose(samples, last.samples, atol=1e-4)
    assert found["duration"] == round(last.seconds, 3)


def test_the_command_line_writes_a_wav_file(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MMDEMO_DEVICE", "cpu")
    out = tmp_path / "deep" / "out.wav"
    assert main(["speak", TEXT, "-o", str(out), "--model", folder, "--json", "--speed", "1.5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    about = soundfile.info(str(out))
    assert (about.samplerate, about.channels, about.subtype) == (16_000, 1, "PCM_16")
    assert (shown["file"], shown["text"], shown["model"]) == (str(out), TEXT, folder)
    assert abs(shown["duration"] - about.duration) < 1e-3
    assert main(["speak", "你好", "-o", str(tmp_path / "no.wav"), "--model", folder]) == 1
    assert "finds nothing in that text" in capsys.readouterr().err
    assert not (tmp_path / "no.wav").exists()
    for wrong in (["speak", "x"], ["speak", "x", "-o", str(tmp_path)], ["speak", "x", "-o", "x.wav", "--speed", "9"]):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
    assert speak.PAUSE == 0.25

"""Options dataclasses as flags."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from mmdemo import tasks
from mmdemo.cli import parser
from mmdemo.cli.flags import add_flags, given
from mmdemo.options import option


@dataclasses.dataclass(frozen=True)
class Options:
    speech_model: str = option("base", "Model", "Which model, 100 % offline.")
    loud: bool = option(True, "Loud", "Say it.")
    beams: int = option(5, "Beams", "How wide.", minimum=1)
    threshold: float = option(0.5, "Threshold", "How sure.")
    style: str = option("a", "Style", choices=("a", "b"))
    prompt: str = option("", "Prompt", "Words.")


@pytest.fixture
def flags() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_flags(made, Options)
    return made


def test_only_what_is_given_is_an_option(flags: argparse.ArgumentParser) -> None:
    assert given(flags.parse_args([]), Options) == {}


def test_each_kind_of_field_reads_its_kind_of_value(flags: argparse.ArgumentParser) -> None:
    words = ["--speech-model", "tiny", "--no-loud", "--beams", "2", "--threshold", "1", "--style", "b", "--prompt", "x"]
    assert given(flags.parse_args(words), Options) == {
        "speech_model": "tiny", "loud": False, "beams": 2, "threshold": 1.0, "style": "b", "prompt": "x",
    }  # fmt: skip


def test_help_shows_sentence_and_default(flags: argparse.ArgumentParser) -> None:
    shown = " ".join(flags.format_help().split())
    assert "Which model, 100 % offline. (default: base)" in shown
    assert "Say it. (default: on)" in shown
    assert "How wide. (default: 5)" in shown
    assert "Words. (default: empty)" in shown
    assert "{a,b}" in shown


@pytest.mark.parametrize("task", tasks.TASKS)
def test_every_option_of_every_task_is_a_flag(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args([task, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for field in dataclasses.fields(tasks.get(task).options):
        assert f"--{field.name.replace('_', '-')}" in shown

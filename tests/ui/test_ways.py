"""The list of quantizations says what is known to be worse than the default, in the reader's language."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mmdemo import catalog
from mmdemo.runtime import quantization
from mmdemo.ui import ways
from mmdemo.ui.bench import Context
from mmdemo.ui.tabs.describe import Describe
from mmdemo.ui.tabs.speech import Speech
from mmdemo.ui.tabs.video import Video
from tests.ui.handling import placed


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """All packages are installed."""
    monkeypatch.setattr(quantization, "find_spec", lambda name: object())


def shown(studio: Any, model: str, where: str, chosen: str = "auto", language: str = "en") -> tuple[list[str], str]:
    """The lines of the list, and the one that is chosen."""
    update = ways.offered(Context(studio), model, where, chosen, language)
    return [line for line, _ in update["choices"]], update["value"]


@pytest.mark.usefixtures("everything")
def test_what_is_slower_or_answers_worse_says_so(studio: Any) -> None:
    lines, chosen = shown(studio, "smolvlm2-256m", "cpu")
    assert lines == [
        "Auto", "fp32: whole, 32 bits · slower here than Auto", "bf16: 16 bits", "int8: 8 bits",
        "int4: 4 bits · slower here than Auto · answers get worse",
    ]  # fmt: skip
    assert chosen == "auto"


@pytest.mark.usefixtures("everything")
def test_a_reader_of_chinese_is_told_in_chinese(studio: Any) -> None:
    lines, _ = shown(studio, "smolvlm2-256m", "cpu", language="zh")
    assert lines[-1] == "int4：4 位 · 在本机上比“自动”慢 · 回答质量下降"


def test_a_model_offers_what_it_runs_as_and_what_was_chosen_stays_where_it_can(studio: Any) -> None:
    assert shown(studio, "starter-describer", "cpu", "bf16")[1] == "auto"
    assert shown(studio, "smolvlm2-256m", "cpu", "bf16")[1] == "bf16"
    assert len(shown(studio, "starter-describer", "auto")[0]) == 2


def test_every_remark_of_every_row_is_on_the_list(studio: Any) -> None:
    for row in catalog.ROWS:
        lines, _ = shown(studio, row.key, "cpu")
        for line, way in zip(lines, quantization.ways(row, "cpu"), strict=True):
            assert line.count(" · ") == way.slower + way.rougher, (row.key, line)


def test_a_device_or_a_model_that_is_not_here_leaves_the_list_alone(studio: Any) -> None:
    for model, where in (("starter-describer", "mps"), ("folder:/gone", "cpu")):
        update = ways.offered(Context(studio), model, where, "auto", "en")
        assert "choices" not in update, update


@pytest.mark.parametrize("kind", [Describe, Video, Speech])
def test_each_tab_fills_its_list_when_the_page_opens(kind: type, studio: Any) -> None:
    tab = placed(kind, studio)
    quantizations = tab.form.components["quantization"]
    assert [look for look in tab.looks if look.outputs is quantizations]


def test_a_way_without_a_remark_is_its_bits_alone() -> None:
    way = quantization.Way("fp16")
    assert ways.words(way, "en") == "fp16: 16 bits"
    assert ways.words(dataclasses.replace(way, slower=True), "en") == "fp16: 16 bits · slower here than Auto"

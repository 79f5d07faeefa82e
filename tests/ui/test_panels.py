"""The header and the help."""

from __future__ import annotations

import re

from mmdemo import catalog
from mmdemo.runtime.memory import Memory
from mmdemo.runtime.standing import Row, Status
from mmdemo.specs import Local, ModelSpec
from mmdemo.ui import panels

MEMORY = Memory(10**9, 4 * 10**9, 6 * 10**9, 8 * 10**9)
CHOSEN = ["starter-describer", "smollm2-135m-instruct", "starter-describer", "whisper-base", "whisper-base"]


def header(*loaded: ModelSpec, chosen: list[str] = CHOSEN, language: str = "en") -> str:
    status = Status("CPU", MEMORY, tuple(spec.key for spec in loaded), False, loaded)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", panels.header(status, chosen, language)))


def test_before_the_first_request_it_says_which_models_will_answer() -> None:
    text = header()
    for title in ("Starter describer", "SmolLM2 135M Instruct", "Whisper base"):
        assert text.count(f"○ {title} (loads on first use)") == 1
    assert "Starter set: small models" in text and "Also loaded" not in text


def test_a_loaded_model_is_told_from_one_that_is_still_to_be_loaded_and_not_by_colour() -> None:
    text = header(catalog.get("whisper-base"))
    assert "● Whisper base (loaded)" in text and "○ Starter describer (loads on first use)" in text
    assert "● Whisper base (已加载)" in header(catalog.get("whisper-base"), language="zh")


def test_what_is_loaded_but_not_chosen_is_named_too() -> None:
    assert "Also loaded Whisper tiny, English" in header(catalog.get("whisper-tiny.en"))


def test_a_larger_model_is_not_called_small() -> None:
    assert "Starter set" not in header(chosen=["smolvlm2-256m", "whisper-base"])


def test_a_loaded_folder_that_was_deleted_is_still_named() -> None:
    gone = ModelSpec(
        "folder:/gone/mine", "mine", "causal_lm", ("talk",), (Local("/gone/mine"),), "your own", "", "", 0, 0.0
    )
    assert "Also loaded mine" in header(gone)


def test_the_help_says_what_stays_here_and_can_be_closed() -> None:
    html = panels.guide("en")
    assert html.startswith("<dialog") and html.count("<li>") == len(panels.GUIDE)
    assert "Everything runs on this machine" in html and '<form method="dialog"><button' in html


def test_a_model_that_broke_down_bears_the_reason_in_the_readers_language() -> None:
    words = (
        "Starter describer broke down at work (RuntimeError: CUDA error) and was unloaded: try again, which loads it "
        "anew; if it breaks down again, restart the studio or choose another model."
    )
    spec = catalog.get("starter-describer")
    broken, well = Row(spec, True, False, 5, problem=words), Row(spec, True, False, 5)
    assert words in panels.models([broken], False, "en") and "⚠" in panels.models([broken], False, "en")
    assert "运行时出错（RuntimeError: CUDA error）" in panels.models([broken], False, "zh")
    assert "⚠" not in panels.models([well], False, "en")

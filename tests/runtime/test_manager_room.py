"""What fits, what makes room for it, and the one sentence about what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mmdemo.catalog import ModelSpec
from mmdemo.errors import Cancelled, DoesNotFit, InUse
from mmdemo.runtime import memory, ocr
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.runtime.toy_engine import GB, Toy


def test_what_was_not_used_for_longest_makes_room(world: Callable[..., ModelSpec], manager: Manager) -> None:
    for key in ("one", "two", "three"):
        world(key, 1.5)
    one, two = manager.get("one"), manager.get("two")
    manager.get("one")
    manager.get("three")
    assert manager.status().loaded == ("one", "three")
    assert two.closed  # type: ignore[attr-defined]
    assert not one.closed  # type: ignore[attr-defined]


def test_what_the_work_at_hand_uses_is_not_unloaded_under_it(world: Callable[..., ModelSpec], manager: Manager) -> None:
    for key in ("describer", "answerer"):
        world(key, 2.5)
    with manager.lease() as models:
        describer = models.get("describer")
        with pytest.raises(DoesNotFit, match=r"unloading \(Describer\)") as caught:
            models.get("answerer")
        assert not isinstance(caught.value, InUse), "waiting for others would not help"
        assert not describer.closed  # type: ignore[attr-defined]
    manager.get("answerer")
    assert describer.closed  # type: ignore[attr-defined]


def test_what_can_never_fit_unloads_nothing_and_says_so(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("small")
    world("huge", 5)
    manager.get("small")
    with pytest.raises(DoesNotFit) as caught:
        manager.get("huge")
    assert str(caught.value) == (
        "Huge needs about 5.0 GB of memory, and of the budget of 4.0 GB 1.0 GB are in use; what would help: a smaller "
        "quantization (–), a smaller model (florence-2-base, starter-describer), unloading (Small), or a larger "
        "MMDEMO_MEMORY_GB."
    )
    assert manager.status().loaded == ("small",)
    assert Toy.built == ["small"]


def test_a_machine_that_other_programs_fill_is_told_apart(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    world("one", 2)
    monkeypatch.setattr(memory, "now", lambda budget_gb=0.0: memory.Memory(0, 4 * GB, GB, 10 * GB))
    with pytest.raises(DoesNotFit) as caught:
        manager.get("one")
    assert str(caught.value) == (
        "One needs about 2.0 GB of memory, and 1.0 GB are free; what would help: a smaller quantization (–), "
        "a smaller model (florence-2-base, starter-describer), unloading (–), or closing other programs."
    )


def test_the_budget_of_the_settings_counts(world: Callable[..., ModelSpec], tmp_path: Path) -> None:
    world("one", 2)
    small = Manager(Settings(home=str(tmp_path / "home"), device="cpu", memory_gb=1))
    with pytest.raises(DoesNotFit, match=r"budget of 1\.0 GB"):
        small.get("one")
    assert Manager(Settings(home=str(tmp_path / "home"), device="cpu", memory_gb=3)).get("one")


def test_the_reader_of_text_makes_room_before_any_model_does(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    world("one", 2)
    world("two", 2)
    manager.get("one")
    assert ocr.read_text(Image.new("RGB", (64, 64))) == ()
    Toy.world["ocr"] = GB

    def unload(original: Callable[[], bool] = ocr.unload) -> bool:
        Toy.world.pop("ocr", None)
        return original()

    monkeypatch.setattr(ocr, "unload", unload)
    manager.get("two")
    assert manager.status().loaded == ("one", "two")
    assert "ocr" not in Toy.world
    assert not ocr.unload(), "it has been unloaded, and nothing loaded it again"
    assert ocr.read_text(Image.new("RGB", (64, 64))) == ()
    manager.close()
    assert not ocr.unload()


def test_nothing_is_unloaded_for_a_load_that_was_stopped(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one", 2.5)
    world("two", 2.5)
    one = manager.get("one")
    with pytest.raises(Cancelled, match="Loading Two was stopped"):
        manager.get("two", cancelled=lambda: True)
    assert manager.status().loaded == ("one",)
    assert not one.closed  # type: ignore[attr-defined]


def test_what_others_use_is_not_unloaded_and_it_is_told_that_waiting_helps(
    world: Callable[..., ModelSpec], manager: Manager
) -> None:
    for key in ("long", "short", "more"):
        world(key, 2.5)
    with manager.lease() as film:
        kept = film.get("long")
        with manager.lease() as picture, pytest.raises(InUse, match=r"Short needs about 2\.5 GB"):
            picture.get("short")
        assert not kept.closed  # type: ignore[attr-defined]
        assert manager.is_used("long") and not manager.is_used("short")
        assert manager.unload_idle(0) is None, "what is in use is not idle"
        assert manager.status().loaded == ("long",)
    assert not manager.is_used("long")
    with manager.lease() as picture:
        picture.get("short")
    assert kept.closed  # type: ignore[attr-defined]


def test_two_requests_that_use_something_do_not_wait_for_each_other(
    world: Callable[..., ModelSpec], manager: Manager
) -> None:
    for key in ("a", "b"):
        world(key, 1.5)
        world(f"{key}-more", 2)
    with manager.lease() as one, manager.lease() as two:
        one.get("a")
        two.get("b")
        with pytest.raises(InUse):
            one.get("a-more")
        with pytest.raises(DoesNotFit) as caught:
            two.get("b-more")
        assert not isinstance(caught.value, InUse)

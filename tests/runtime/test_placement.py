"""Where the layers of a checkpoint go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mmdemo.errors import UnknownName
from mmdemo.runtime import memory, placement
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings

GB = 1_000_000_000


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cards with 8 and 6 GB free, of whose 16 GB of memory the models may take 10 and have 2."""
    monkeypatch.setattr(memory, "now", lambda budget_gb=0.0: memory.Memory(2 * GB, 10 * GB, 12 * GB, 16 * GB))
    monkeypatch.setattr(memory, "cards", lambda: {"cuda:0": 8 * GB, "cuda:1": 6 * GB})


def plan(gigabytes: int, device: str, offload: str, tmp_path: Path) -> object:
    return placement.plan(gigabytes * GB, device, offload, 0.0, tmp_path)


def test_what_fits_the_cards_together_goes_there_whole(tmp_path: Path) -> None:
    assert plan(14, "cuda", "no", tmp_path) == {}


def test_what_does_not_fit_them_goes_on_in_memory_within_its_budget(tmp_path: Path) -> None:
    assert plan(20, "cuda", "cpu", tmp_path) == {"cuda:0": 8 * GB, "cuda:1": 6 * GB, "cpu": 8 * GB}
    assert plan(20, "cuda", "no", tmp_path) is None
    assert plan(23, "cuda", "cpu", tmp_path) is None


def test_the_disk_is_used_only_where_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5 * GB)
    monkeypatch.setattr(placement.shutil, "disk_usage", lambda place: usage)
    assert plan(9, "cpu", "cpu", tmp_path) is None
    assert plan(9, "cpu", "disk", tmp_path) == {"cpu": 8 * GB}
    assert plan(14, "cpu", "disk", tmp_path) is None
    assert plan(8, "cpu", "disk", tmp_path) == {}


def test_another_word_for_it_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"offload setting 'tape'"):
        Manager(Settings(home=str(tmp_path), device="cpu", offload="tape"))

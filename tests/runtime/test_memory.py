"""Memory: what there is, what may be used, within a container's limit too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from mmdemo.runtime import memory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> int:
    """This machine without a container's limit; its bytes of memory."""
    monkeypatch.setattr(memory, "container_limit", lambda: None)
    return int(psutil.virtual_memory().total)


def test_the_budget_is_the_settings_or_seven_tenths_of_the_machine(machine: int) -> None:
    assert memory.now().total == machine
    assert memory.now().budget == int(machine * 0.7)
    assert memory.now(1.5).budget == 1_500_000_000


def test_what_this_process_uses_counts(machine: int) -> None:
    before = memory.now().used
    block = np.ones(60_000_000, np.uint8)
    grown = memory.now().used - before
    assert 55_000_000 < grown < 90_000_000
    assert len(block) == 60_000_000


def test_something_fits_while_it_and_what_is_used_stay_in_the_budget(machine: int) -> None:
    used = memory.now().used
    budget = (used + 200_000_000) / 1e9
    assert memory.fits(100_000_000, budget)
    assert not memory.fits(300_000_000, budget)
    assert not memory.fits(machine, 10_000.0), "however large the budget, it must be free"


def test_a_containers_limit_counts_where_it_is_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    used = memory.now().used
    monkeypatch.setattr(memory, "container_limit", lambda: used + 100_000_000)
    state = memory.now()
    assert state.total == used + 100_000_000
    assert state.budget == int(state.total * 0.7)
    assert state.free <= 110_000_000
    monkeypatch.setattr(memory, "container_limit", lambda: 1 << 60)
    assert memory.now().total == psutil.virtual_memory().total


@pytest.mark.parametrize(("text", "limit"), [("max\n", None), ("2147483648\n", 2147483648)])
def test_the_limit_is_read_from_the_control_group(tmp_path: Path, text: str, limit: int | None) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert memory.container_limit(tmp_path / "memory.max") == limit
    assert memory.container_limit(tmp_path / "absent") is None


def test_giving_back_works_on_any_c_library() -> None:
    memory.give_back()

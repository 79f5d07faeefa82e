"""A small world for the manager: rows that load in no time, on a machine of 10 GB."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo import catalog
from mmdemo.catalog import Local, ModelSpec
from mmdemo.runtime import backends, memory
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.runtime.toy_engine import GB, Toy


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ModelSpec]:
    """Makes rows; memory is what the toys take, of a machine of 10 GB with a budget of 4."""
    Toy.world, Toy.takes, Toy.built = {}, {}, []
    monkeypatch.setitem(backends.BACKENDS, "toy", "tests.runtime.toy_engine:Toy")

    def now(budget_gb: float = 0.0) -> memory.Memory:
        used = sum(Toy.world.values())
        return memory.Memory(used, int((budget_gb or 4) * GB), 10 * GB - used, 10 * GB)

    monkeypatch.setattr(memory, "now", now)

    def row(key: str, gigabytes: float = 1.0, parts: tuple[str, ...] = ()) -> ModelSpec:
        folder = tmp_path / "rows" / key
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
        spec = dataclasses.replace(
            catalog.get("smolvlm2-256m"), key=key, title=key.title(), backend="toy", parts=parts,
            sources=(Local(str(folder)),), files=(),
        )  # fmt: skip
        monkeypatch.setitem(catalog.MODELS, key, spec)
        Toy.takes[key] = int(gigabytes * GB)
        return spec

    return row


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(Settings(home=str(tmp_path / "home"), device="cpu", threads=2, offline=True))

"""Graphs are named by every byte they are made from, and old ones do not pile up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmdemo.errors import Cancelled
from mmdemo.runtime.backends import fusion_graphs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of more than a megabyte; only its bytes matter here."""
    made = tmp_path / "describer"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(bytes(3_000_000))
    return made


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    made = tmp_path / "encoder"
    made.mkdir()
    (made / "encoder.safetensors").write_bytes(bytes(1000))
    return made


def graphs(encoder: Path, name: str, age: float) -> Path:
    made = encoder / name
    made.mkdir()
    (made / "step.xml").write_text("<net/>")
    seconds = made.stat().st_mtime - age
    os.utime(made, (seconds, seconds))
    return made


def test_every_byte_counts_the_last_one_and_the_encoders_too(folder: Path, encoder: Path) -> None:
    names = {fusion_graphs.named(folder, encoder)}
    assert names == {fusion_graphs.named(folder, encoder)}, "and nothing else does"
    for file in (folder / "model.safetensors", encoder / "encoder.safetensors", folder / "config.json"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        names.add(fusion_graphs.named(folder, encoder))
    assert len(names) == 4
    assert {name.parent for name in names} == {encoder}


def test_the_graphs_used_last_are_kept_and_older_ones_deleted(folder: Path, encoder: Path) -> None:
    newest = graphs(encoder, "openvino-new", 0)
    old = [graphs(encoder, f"openvino-{age}", 10.0 * age) for age in range(1, 6)]
    (encoder / "labels.json").write_text("[]")
    fusion_graphs.tidy(newest)
    left = {path.name for path in encoder.iterdir()}
    assert left == {"openvino-new", "openvino-1", "openvino-2", "labels.json", "encoder.safetensors"}
    assert len(old) - 3 == fusion_graphs.KEPT - 1


def test_what_a_killed_export_left_is_deleted_and_what_one_writes_is_not(encoder: Path) -> None:
    newest = graphs(encoder, "openvino-new", 0)
    dead = graphs(encoder, f"openvino-dead.{2**22 + 1}.partial", 0)
    alive = graphs(encoder, f"openvino-alive.{os.getpid()}.partial", 1000)
    fusion_graphs.tidy(newest)
    assert not dead.exists() and alive.exists() and newest.exists()


def test_graphs_that_are_there_are_used_and_their_use_is_noted(folder: Path, encoder: Path) -> None:
    there = graphs(encoder, fusion_graphs.named(folder, encoder).name, 1000)
    before = there.stat().st_mtime
    assert fusion_graphs.ready(folder, encoder, lambda: pytest.fail("nothing takes long")) == there
    assert there.stat().st_mtime > before + 900


def test_nothing_is_exported_for_a_user_who_has_stopped(folder: Path, encoder: Path) -> None:
    def stopped() -> None:
        raise Cancelled("Loading was stopped.")

    with pytest.raises(Cancelled):
        fusion_graphs.ready(folder, encoder, stopped)
    assert [path.name for path in encoder.iterdir()] == ["encoder.safetensors"]

"""The manager loads each checkpoint once, knows what is here, and frees what it is told to.

The rows are folders with a few bytes; their engine is a toy that keeps what it was given.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo import catalog
from mmdemo.catalog import ModelSpec
from mmdemo.errors import Cancelled, UnknownName, Unreachable, Unsupported
from mmdemo.runtime import backends
from mmdemo.runtime.base import Backend, Load
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.toy_engine import GB, Toy


def test_a_checkpoint_is_loaded_once(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    first = manager.get("one")
    assert isinstance(first, Backend)
    assert manager.get("one") is first
    assert Toy.built == ["one"]
    assert manager.status().loaded == ("one",)
    assert manager.status().specs == (catalog.get("one"),)


def test_the_engine_gets_all_folders_its_own_first(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("eye")
    world("whole", parts=("eye",))
    request = manager.get("whole").request  # type: ignore[attr-defined]
    assert list(request.folders) == ["whole", "eye"]
    assert [folder.name for folder in request.folders.values()] == ["whole", "eye"]
    assert (request.device, request.threads) == ("cpu", 2)


def test_a_checkpoint_may_be_loaded_in_two_ways_and_is_unloaded_in_both(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdemo.runtime import quantization

    world("one")
    monkeypatch.setitem(quantization.WAYS, "toy", quantization.TORCH)  # type: ignore[index]
    whole, eight = manager.get("one"), manager.get("one", how=How("int8", "cpu"))
    assert eight.request.quantization == "int8" and whole.request.quantization == "auto"  # type: ignore[attr-defined]
    assert manager.get("one", how=How("int8")) is eight, "auto is the cpu here"
    assert manager.status().loaded == ("one",)
    manager.unload("one")
    assert whole.closed and eight.closed  # type: ignore[attr-defined]


def test_a_way_that_a_row_does_not_offer_is_refused_before_anything_is_unloaded(
    world: Callable[..., ModelSpec], manager: Manager
) -> None:
    world("one")
    with pytest.raises(Unsupported, match="One does not run in int4 on this device"):
        manager.get("one", how=How("int4"))
    with pytest.raises(UnknownName, match="device"):
        manager.get("one", how=How(device="abacus"))
    assert Toy.built == []


def test_loading_is_reported(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    seen: list[Progress] = []
    manager.get("one", report=seen.append)
    assert seen == [Progress("Loading One")]
    manager.get("one", report=seen.append)
    assert len(seen) == 1, "what is loaded needs no loading"


def test_unloading_frees_and_the_next_use_loads_again(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    first = manager.get("one")
    manager.unload("one")
    assert first.closed  # type: ignore[attr-defined]
    assert manager.status().memory.used == 0
    assert manager.status().loaded == ()
    manager.unload("one")
    assert manager.get("one") is not first
    assert Toy.built == ["one", "one"]


def test_removing_a_part_unloads_what_is_made_of_it(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, parts in (("eye", ()), ("whole", ("eye",)), ("other", ())):
        world(key, parts=parts)
        manager.get(key)
    kept = manager.settings.models_folder / "eye"
    kept.mkdir(parents=True)
    (kept / "model.safetensors").write_bytes(b"123")
    assert manager.remove("eye") == 3
    assert not kept.exists()
    assert manager.status().loaded == ("other",)


def test_the_programs_own_files_are_not_removed(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    with pytest.raises(Unsupported, match="One is part of the program"):
        manager.remove("one")


def test_a_folders_path_is_a_model_like_any_other(world: Callable[..., ModelSpec], manager: Manager) -> None:
    spec = world("one")
    folder = Path(spec.sources[0].folder)  # type: ignore[union-attr]
    (folder / "config.json").write_text('{"architectures": ["ToyModel"]}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backends.BACKENDS, "embedder", "tests.runtime.toy_engine:Toy")
        Toy.takes[f"folder:{folder}"] = GB
        loaded = manager.get(str(folder))
        assert manager.get(f"folder:{folder}") is loaded
        assert manager.status().loaded == (f"folder:{folder}",)
        manager.unload(str(folder))
    assert loaded.closed  # type: ignore[attr-defined]


def test_a_loaded_folder_that_was_deleted_is_still_shown_and_freed(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = world("one")
    folder = Path(spec.sources[0].folder)  # type: ignore[union-attr]
    (folder / "config.json").write_text('{"architectures": ["ToyModel"]}')
    monkeypatch.setitem(backends.BACKENDS, "embedder", "tests.runtime.toy_engine:Toy")
    key = f"folder:{folder}"
    Toy.takes[key] = GB
    loaded = manager.get(key)
    shutil.rmtree(folder)
    assert manager.status().specs == (loaded.spec,)
    assert manager.get(key) is loaded
    assert manager.spec(key).title == loaded.spec.title
    with pytest.raises(Unsupported, match="your own folder"):
        manager.remove(key)
    manager.unload(key)
    assert loaded.closed  # type: ignore[attr-defined]
    assert manager.status().specs == ()
    with pytest.raises(UnknownName):
        manager.unload(key)


def test_a_model_that_was_loaded_when_its_reader_left_is_kept(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    world("one")
    stopped = threading.Event()
    load = backends.load

    def slow(request: Load) -> Backend:
        backend = load(request)
        stopped.set()  # the user presses Stop just before the constructor returns
        return backend

    monkeypatch.setattr(backends, "load", slow)
    assert manager.get("one", cancelled=stopped.is_set) is manager.get("one")
    assert Toy.built == ["one"]


def test_a_failed_load_leaves_nothing_behind(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    with pytest.raises(Cancelled):
        manager.get("one", cancelled=lambda: True)
    assert manager.status().loaded == ()
    assert manager.get("one")


def test_names_that_are_none_are_refused(manager: Manager, tmp_path: Path) -> None:
    for action in (manager.get, manager.fetch, manager.unload, manager.remove):
        with pytest.raises(UnknownName, match="no model 'nothing'"):
            action("nothing")
    with pytest.raises(UnknownName, match="no device 'gpu'"):
        Manager(Settings(home=str(tmp_path), device="gpu"))


def test_a_device_that_is_not_here_is_refused_at_the_start(tmp_path: Path) -> None:
    import torch

    absent = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(Unsupported, match=f"no {absent} device here: set MMDEMO_DEVICE"):
        Manager(Settings(home=str(tmp_path), device=absent))


def test_what_must_be_fetched_is_what_is_not_here(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("eye")
    world("whole", parts=("eye", "smolvlm2-256m"))
    assert manager.absent("eye") == []
    assert manager.absent("whole") == ["smolvlm2-256m"]
    assert manager.absent("smolvlm2-256m") == ["smolvlm2-256m"]


def test_offline_a_row_that_is_not_here_is_unreachable(manager: Manager) -> None:
    with pytest.raises(Unreachable, match="SmolVLM2 256M is not on this machine"):
        manager.get("smolvlm2-256m")


def test_rows_say_what_is_here_and_what_is_loaded(
    world: Callable[..., ModelSpec], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world("here")
    monkeypatch.setattr(catalog, "ROWS", (here, catalog.get("smolvlm2-256m")))
    row, absent = manager.rows()
    assert (row.cached, row.loaded, row.disk, row.device) == (True, False, 12, "")
    assert (absent.cached, absent.loaded, absent.disk) == (False, False, 0)
    manager.get("here")
    row, _ = manager.rows()
    assert (row.loaded, row.device) == (True, "cpu")


def test_closing_unloads_everything(world: Callable[..., ModelSpec], manager: Manager) -> None:
    world("one")
    world("two")
    manager.get("one")
    manager.get("two")
    manager.close()
    assert Toy.world == {}
    assert manager.status().loaded == ()

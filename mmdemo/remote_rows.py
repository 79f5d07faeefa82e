"""A model on a server that speaks OpenAI's protocol: `remote:NAME`, or `remote:MODEL@http://host:8000/v1`.

`remotes.json` in the studio's folder has the named ones, by name; `MMDEMO_REMOTES` names servers and, for each, the
environment variable with its key. A key itself stands in neither, and is only ever read where a request is sent.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmdemo import own_files
from mmdemo.errors import InputError, UnknownName
from mmdemo.settings import Settings
from mmdemo.specs import STYLES, ModelSpec, Remote, Task

PREFIX = "remote:"
FILE = "remotes.json"
FIELDS = ("url", "model", "key", "tasks", "title", "hears", "video")
"""What an entry of the file may say; the first two it must. `key` names an environment variable."""
TASKS: tuple[Task, ...] = ("describe", "transcribe", "talk")
"""What a server's model can be asked for. One that is not named in the file may be asked for all of it."""
SOUND = ("whisper", "transcribe", "asr", "parakeet", "voxtral", "moonshine")
"""In the names of models that hear; a server's list says no more than names."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_settings: list[Settings] = []


def use(settings: Settings) -> None:
    """Look for rows by these settings from now on: a key alone does not say where its studio keeps them."""
    _settings[:] = [settings]


def spec_of(key: str, settings: Settings | None = None) -> ModelSpec:
    """The row of a `remote:` key, by some settings; by default those of the last studio that has begun.

    Raises:
        UnknownName: no such name is in the file.
        InputError: for an address or an entry of the file that is not well formed.
    """
    known = settings or (_settings[0] if _settings else Settings())
    model, url = parted(key)
    if model and url:
        return row(f"{PREFIX}{model}@{base(url)}", _source(base(url), model, known))
    name = key.removeprefix(PREFIX)
    named = _entries(known)
    if name in named:
        return _declared(name, named[name], known)
    servers = list(_servers(known))
    if name and len(servers) == 1 and "@" not in name:
        return row(key, _source(servers[0], name, known))
    raise UnknownName(
        "model on a server", key, [*(PREFIX + one for one in named), f"{PREFIX}MODEL@http://HOST:PORT/v1"]
    )


def parted(key: str) -> tuple[str, str]:
    """The model and the base URL of `remote:MODEL@URL`; both empty for a key without an address."""
    found = re.fullmatch(r"(.+?)@(https?://.*)", key.removeprefix(PREFIX), re.DOTALL)
    return (found[1], found[2]) if found else ("", "")


def row(key: str, source: Remote, title: str = "", tasks: tuple[Task, ...] = TASKS) -> ModelSpec:
    """The row of a model on a server."""
    return ModelSpec(
        key, title or source.model, "remote", tasks, (source,), "not stated",
        f"On the server {host_of(source.url)}.", source.url, 0, 0.0, styles=STYLES, answers=True, languages=("many",),
    )  # fmt: skip


def rows(settings: Settings) -> Iterator[ModelSpec]:
    """The rows of the file, by name; of a file that is broken none, so that the rest can still be shown."""
    try:
        named = _entries(settings)
    except InputError:
        return
    for name in sorted(named, key=str.lower):
        try:
            yield _declared(name, named[name], settings)
        except (InputError, UnknownName):
            continue


def servers(settings: Settings) -> list[str]:
    """The base URLs that the settings and the file name, each once."""
    return list(dict.fromkeys([*_servers(settings), *(spec.origin for spec in rows(settings))]))


def declare(url: str, model: str, settings: Settings) -> ModelSpec:
    """Write a model of a server into the file and give its row, which has a name of its own there.

    Raises:
        InputError: for an address that is none, or a file that cannot be read or written.
    """
    named, address = _entries(settings), base(url)
    for name, entry in named.items():
        if isinstance(entry, dict) and (entry.get("url"), entry.get("model")) == (address, model):
            return _declared(name, entry, settings)
    stem = re.sub(r"[^\w.-]+", "-", model.rpartition("/")[2]).strip("-.") or "model"
    name, number = stem, 2
    while name in named:
        name, number = f"{stem}-{number}", number + 1
    tasks = ["transcribe"] if any(word in model.lower() for word in SOUND) else ["describe", "talk"]
    named[name] = {"url": address, "model": model, "tasks": tasks}
    _write(named, settings)
    return _declared(name, named[name], settings)


def forget(key: str, settings: Settings) -> None:
    """Take a named row out of the file; nothing happens if it is not there.

    Raises:
        InputError: the file cannot be read or written.
    """
    named = _entries(settings)
    if named.pop(key.removeprefix(PREFIX), None) is not None:
        _write(named, settings)


def base(url: str) -> str:
    """A base URL without its last slash.

    Raises:
        InputError: it is none, or has more in it than an address: a password would be seen wherever it is shown.
    """
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        good = bool(parts.scheme in ("http", "https") and parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\\<>\"']", text):
        shown = text if "@" not in text else "That"
        raise InputError(f"{shown!r} is no address of a server: write it as http://host:8000/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            f"The address of {parts.hostname} has more in it than host, port and path: put a key into an environment "
            "variable, and name that in MMDEMO_REMOTES."
        )
    return text


def host_of(url: str) -> str:
    """Host and port of a base URL, as they are shown."""
    return urlsplit(url).netloc


def is_loopback(url: str) -> bool:
    """Whether the server is on this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def variable_of(url: str, settings: Settings) -> str:
    """The environment variable with the key of a server: only the owner's settings say it, and only for that address.

    A page could else be made to send any variable of this process to any server.
    """
    return _servers(settings).get(url, "")


def _source(url: str, model: str, settings: Settings) -> Remote:
    return Remote(url, model, variable_of(url, settings), seconds=settings.remote_seconds or math.inf)


def _servers(settings: Settings) -> Mapping[str, str]:
    """What `MMDEMO_REMOTES` says: base URLs with their variables."""
    found: dict[str, str] = {}
    for entry in settings.remotes.split():
        url, named, variable = entry.partition("=")
        found[base(url)] = _variable(variable, "MMDEMO_REMOTES") if named else ""
    return found


def _variable(name: object, where: str) -> str:
    """A name of an environment variable. What is none may be a key, and is not repeated."""
    if not isinstance(name, str) or not VARIABLE.fullmatch(name):
        raise InputError(
            f"{where} must give the name of an environment variable that holds the key, never the key itself."
        )
    return name


def _entries(settings: Settings) -> dict[str, Any]:
    path = Path(settings.home) / FILE
    try:
        named = json.loads(path.read_bytes()) if settings.home else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{FILE} cannot be read ({error}): correct it, or delete it.") from None
    if not isinstance(named, dict):
        raise InputError(f"{FILE} must be a JSON object that has an entry for each model, by its name.")
    return named


def _declared(name: str, entry: object, settings: Settings) -> ModelSpec:
    """The row of an entry of the file."""
    where = f"The model {name!r} in {FILE}"
    if not isinstance(entry, dict) or not all(isinstance(entry.get(one), str) for one in ("url", "model")):
        raise InputError(f"{where} must have a url and a model, both as text.")
    for field in entry:
        if field not in FIELDS:
            raise UnknownName(f"field of {FILE}", field, FIELDS)
    tasks = entry.get("tasks", list(TASKS))
    for task in tasks if isinstance(tasks, list) else [json.dumps(tasks)]:
        if task not in TASKS:
            raise UnknownName(f"task in {FILE}", task, TASKS)
    url = base(entry["url"])
    variable = _variable(entry["key"], where) if "key" in entry else variable_of(url, settings)
    more = {one: entry[one] for one in ("hears", "video") if one in entry}
    kinds = {"hears": ("transcriptions", "chat"), "video": ("images", "video_url")}
    for field, value in more.items():
        if value not in kinds[field]:
            raise UnknownName(f"value of {field} in {FILE}", value, kinds[field])
    source = dataclasses.replace(_source(url, entry["model"], settings), variable=variable, **more)
    return row(f"{PREFIX}{name}", source, str(entry.get("title") or name), tuple(tasks))


def _write(named: Mapping[str, Any], settings: Settings) -> None:
    own_files.write(Path(settings.home) / FILE, named)

"""A package index, a Hub and wheels, all real enough for the real clients, on this machine's loopback address."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from mmdemo.catalog import ModelFile, ModelSpec, Source, Wheel
from mmdemo.settings import Settings


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Served:
    """What the server has: answers by path, and how it behaves.

    `asked` counts the downloads of each path. The next `breaking` of them break off half-way, as a network does.
    """

    address: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)
    breaking: Counter[str] = field(default_factory=Counter)
    go: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: ClassVar[Served]

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        status, headers = self.served.refused.get(path, (200, self.served.headers.get(path, {})))
        body = self.served.bodies.get(path)
        if body is None or status != 200:
            status, body = (404 if status == 200 else status), b"no"
        if with_body:
            self.served.asked[path] += 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            try:
                self.send(path, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client was stopped, as the test wants it

    def send(self, path: str, body: bytes) -> None:
        """A held path sends half of its body, and the rest when the test says so."""
        if self.served.breaking[path] > 0:
            self.served.breaking[path] -= 1
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        if path in self.served.held:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.served.go.wait(120)
            body = body[len(body) // 2 :]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def served() -> Iterator[Served]:
    """A server on a free port of the loopback address."""
    state = Served()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Handler,), {"served": state}))
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    state.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"))


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else: by pip's own settings in the environment."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    only_these(monkeypatch, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))
    return folder


@pytest.fixture
def index(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Publish a wheel on a package index; the path it is downloaded from."""
    only_these(monkeypatch, PIP_INDEX_URL=f"{served.address}/simple/")

    def publish(wheel: Path) -> str:
        project = wheel.name.split("-")[0].replace("_", "-")
        path = f"/files/{wheel.name}"
        served.bodies[path] = wheel.read_bytes()
        served.bodies[f"/simple/{project}/"] = f'<a href="{path}">{wheel.name}</a>'.encode()
        served.headers[f"/simple/{project}/"] = {"Content-Type": "text/html"}
        return path

    return publish


def only_these(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """pip's settings: these, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def build() -> Callable[..., Wheel]:
    """Write a wheel of `members` into a folder, as the catalog would name it."""

    def make(folder: Path, project: str, members: dict[str, bytes]) -> Wheel:
        name = project.replace("-", "_")
        path = folder / f"{name}-1.0.0-py3-none-any.whl"
        info = f"{name}-1.0.0.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return Wheel(project, "1.0.0", sha256(path.read_bytes()), path.stat().st_size)

    return make


@pytest.fixture
def row() -> Callable[..., ModelSpec]:
    """A catalog row that pins `files`."""

    def make(*sources: Source, files: dict[str, bytes] | None = None, key: str = "tiny") -> ModelSpec:
        pinned = tuple(ModelFile(name, sha256(data), len(data)) for name, data in (files or {}).items())
        return ModelSpec(key, "Tiny", "labels", ("classify",), sources, "MIT", "", "", 0, 0, files=pinned)

    return make


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publish a repository on a Hub that HF_ENDPOINT names."""
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)

    def publish(repo: str, files: dict[str, bytes], listed: dict[str, bytes] | None = None) -> None:
        siblings: list[dict[str, object]] = []
        for name, data in files.items():
            promised = (listed or {}).get(name, data)
            large = not name.endswith((".json", ".txt"))
            entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
            if large:
                entry["lfs"] = {"sha256": sha256(promised), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
            path = f"/{repo}/resolve/{COMMIT}/{name}"
            served.bodies[path] = data
            served.headers[path] = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256(promised) if large else "0" * 40}"'}
        info = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}
        served.bodies[f"/api/models/{repo}/revision/main"] = json.dumps(info).encode()
        served.headers[f"/api/models/{repo}/revision/main"] = {"Content-Type": "application/json"}

    return publish

"""A server on this machine's loopback address that speaks enough HTTP, and enough of the Hub, for the real clients.

It serves ranges (RFC 9110, 14), and on demand it breaks off, waits, refuses, and lies.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Served:
    """What the server has: answers by path, and how it behaves.

    `asked` counts the downloads of each path, `log` has each with its range and the bytes of the body that were sent.
    The next `breaking` of a path break off half-way, as a network does, with a reset if `resetting`; `failing` are the
    statuses and headers of its next answers.
    """

    address: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    failing: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    breaking: Counter[str] = field(default_factory=Counter)
    go: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    resetting: bool = False
    models: list[dict[str, Any]] = field(default_factory=list)

    def of(self, path: str) -> list[tuple[str, int]]:
        """The downloads of a path: range and bytes."""
        return [(wanted, sent) for asked, wanted, sent in self.log if asked == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: ClassVar[Served]

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        path, _, query = self.path.partition("?")
        served = self.served
        served.tokens.add(self.headers.get("Authorization", ""))
        waiting = served.failing.get(path)
        default = served.refused.get(path, (200, served.headers.get(path, {})))
        status, headers = waiting.pop(0) if waiting else default
        body = found(served.models, query) if path == "/api/models" else served.bodies.get(path)
        if body is None or status != 200:
            status, body = (404 if status == 200 else status), b"no"
        if with_body:
            served.asked[path] += 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if status == 200 and asked and served.ranges:
            first, whole = int(asked[1]), len(body)
            last = min(int(asked[2] or whole), whole - 1)
            status, headers = (206, {**headers, "Content-Range": f"bytes {first}-{last}/{whole}"})
            body = body[first : last + 1]
            if first >= whole:
                status, headers, body = 416, {"Content-Range": f"bytes */{whole}"}, b""
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
        half = body[: len(body) // 2]
        if self.served.breaking[path] > 0:
            self.served.breaking[path] -= 1
            self.put(path, half)
            self.close_connection = True
            if self.served.resetting:
                time.sleep(0.2)  # what was sent arrives before the reset, which else may overtake it
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
        elif path in self.served.held:
            self.put(path, half)
            self.served.go.wait(120)
            self.wfile.write(body[len(half) :])
        else:
            self.put(path, body)

    def put(self, path: str, data: bytes) -> None:
        self.served.log.append((path, self.headers.get("Range", ""), len(data)))
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving() -> Iterator[Served]:
    """A server on a free port."""
    state = Served()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Handler,), {"served": state}))
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def found(models: list[dict[str, Any]], query: str) -> bytes:
    """The Hub's list of models for a query: names that have the words, with the tag, most downloaded first."""
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    billions = re.fullmatch(r"max:([\d.]+)B", asked.get("num_parameters", ""))
    most = float(billions[1]) * 1e9 if billions else None
    fit = [
        one
        for one in models
        if asked.get("search", "").lower() in one["id"].lower()
        and asked.get("pipeline_tag", one.get("pipeline_tag")) == one.get("pipeline_tag")
        and asked.get("filter") in (None, *one["tags"])
        and (most is None or one.get("safetensors", {}).get("total", most + 1) <= most)
    ]
    assert asked.get("sort") == "downloads"
    fit.sort(key=lambda one: -one["downloads"])
    return json.dumps(fit[: int(asked["limit"])]).encode()


def publish(
    served: Served,
    repo: str,
    files: dict[str, bytes],
    listed: dict[str, bytes] | None = None,
    revision: str = "main",
    **card: Any,
) -> None:
    """Put a repository on the Hub.

    Args:
        listed: contents that the Hub promises for files whose contents are others: it lies about their checksums.
        card: what else the Hub says of it, under the Hub's names.
    """
    siblings: list[dict[str, object]] = []
    for name, data in files.items():
        promised = (listed or {}).get(name, data)
        entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git_sha1(promised)}
        if not name.endswith((".json", ".txt", ".jinja", ".md")):
            entry["lfs"] = {"sha256": sha256(promised), "size": len(data), "pointerSize": 134}
        siblings.append(entry)
        path = f"/{repo}/resolve/{COMMIT}/{name}"
        served.bodies[path] = data
        served.headers[path] = {"X-Repo-Commit": COMMIT}
    info = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False} | card
    for name in {revision, COMMIT}:
        served.bodies[f"/api/models/{repo}/revision/{name}"] = json.dumps(info).encode()
        served.headers[f"/api/models/{repo}/revision/{name}"] = {"Content-Type": "application/json"}
    served.models.append({"id": repo, "modelId": repo, "downloads": 0, "likes": 0, "tags": []} | card)

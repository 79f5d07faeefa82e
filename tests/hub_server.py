"""As much of the Hub as an upload asks for, on a loopback port."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.loopback import COMMIT

TOKEN = "hf_mine"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload asks for: the repository, large files (git LFS), and the commit."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]]
    made: ClassVar[list[dict[str, Any]]]
    tokens: ClassVar[set[str]]
    large: ClassVar[dict[str, bytes]]
    refusing: ClassVar[bool]

    def do_GET(self) -> None:
        self.answer({"id": "me/tuned", "sha": COMMIT, "siblings": [], "tags": [], "private": True})

    def do_POST(self) -> None:
        body = self.body()
        self.tokens.add(self.headers.get("Authorization", ""))
        address = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[str-bytes-safe]
        if self.refusing:
            return self.answer({"error": "no"}, 403)
        if self.path == "/api/repos/create":
            self.made.append(json.loads(body))
            return self.answer({"url": f"{address}/me/tuned", "name": "me/tuned", "id": "1"})
        if self.path == "/api/validate-yaml":  # the card's
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            kinds = [
                {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                 "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]  # fmt: skip
            return self.answer({"files": kinds})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {"oid": one["oid"], "size": one["size"], "authenticated": True,
                 "actions": {"upload": {"href": f"{address}/put/{one['oid']}", "header": {}}}}
                for one in json.loads(body)["objects"]
            ]  # fmt: skip
            return self.answer({"transfer": "basic", "objects": objects})
        if "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[value["path"]] = self.large[value["oid"]]
            url = f"{address}/me/tuned/commit/{COMMIT}"
            return self.answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})
        return self.answer({"error": f"nothing at {self.path}"}, 404)

    def do_PUT(self) -> None:
        self.large[self.path.rpartition("/")[2]] = self.body()
        self.answer({})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def answer(self, value: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def receiving(patch: pytest.MonkeyPatch, home: Path) -> Iterator[type[Hub]]:
    """A hub that takes uploads, the only one in reach, with a token in the environment; what it got is in its class."""
    kind = type("Mine", (Hub,), {"files": {}, "made": [], "tokens": set(), "large": {}, "refusing": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    for name, value in {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_TOKEN": TOKEN,
        "_MMDEMO_HF_HUB_OFFLINE": "", "HF_HOME": str(home),
    }.items():  # fmt: skip
        patch.setenv(name, value)
    try:
        yield kind
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

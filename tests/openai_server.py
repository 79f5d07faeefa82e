"""A server on this machine's loopback address that speaks OpenAI's protocol and runs real models.

What it gets it decodes as vLLM does (data URLs, WAV, several pictures, frames of a video), what the models write it
streams as events. On demand it refuses, breaks off, says nothing, and talks nonsense.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import soundfile
from PIL import Image

from mmdemo.runtime.base import RATE, Clip, Describer, Hearing, Talker, Transcriber


@dataclass
class Serving:
    """What the server runs and how it behaves.

    `asked` has each request: path, header with the key, body. `left` is set when a client hangs up on a held answer.
    The answers of a path in `faults` are those: status, headers, body; or one of `HELD`, `BROKEN`.
    """

    eye: Describer | None = None
    tongue: Talker | None = None
    ear: Transcriber | None = None
    models: tuple[str, ...] = ("tiny",)
    key: str = ""
    timed: bool = True
    address: str = ""
    faults: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    pictures: list[list[Image.Image]] = field(default_factory=list)
    sounds: list[Any] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    end: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


HELD = (0, {}, b"held")
"""Two pieces of an answer, and then nothing."""
SILENT = (0, {}, b"silent")
"""Nothing at all."""
BROKEN = (0, {}, b"broken")
"""Two pieces of an answer, and then the connection breaks."""
UNENDED = (0, {}, b"unended")
"""Two pieces of an answer, and then the stream ends as if that were all."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    serving: ClassVar[Serving]

    def do_GET(self) -> None:
        if not self.refused({}):
            self.whole({"object": "list", "data": [{"id": name, "object": "model"} for name in self.serving.models]})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        body = json.loads(data) if kind == "application/json" else form(kind, data)
        if self.refused(body):
            return
        if body["model"] not in self.serving.models:
            self.whole({"error": {"message": f"The model `{body['model']}` does not exist."}}, 404)
        elif self.path.endswith("/chat/completions"):
            self.chat(body)
        else:
            self.transcribe(body)

    def refused(self, body: dict[str, Any]) -> bool:
        """Whether the answer is no answer."""
        state, path = self.serving, self.path.removeprefix("/v1/")
        key = self.headers.get("Authorization", "")
        state.asked.append((path, key, body))
        if path in state.faults:
            status, headers, said = state.faults[path]
            if status:
                self.whole(said, status, headers)
            else:
                self.odd(said)
            return True
        if state.key and key != f"Bearer {state.key}":
            self.whole({"error": {"message": f"Incorrect API key provided: {key.removeprefix('Bearer ')}."}}, 401)
            return True
        return False

    def whole(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def odd(self, how: bytes) -> None:
        if how != b"silent":
            self.begin()
            for word in ("one ", "two "):
                self.event(content=word)
        if how in (b"held", b"silent"):
            self.connection.settimeout(30)
            while not self.serving.end.is_set():
                if self.connection.recv(1) == b"":
                    self.serving.left.set()
                    break
        if how == b"unended":
            self.chunk(b"")
        self.close_connection = True

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, finish: str | None = None, **delta: Any) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.chunk(b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n")

    def chat(self, body: dict[str, Any]) -> None:
        assert body["stream"] and body["temperature"] == 0
        parts = body["messages"][-1]["content"]
        try:
            with self.serving.lock:
                if isinstance(parts, str):
                    self.stream(self.serving.tongue.talk(body["messages"], max_tokens=body["max_tokens"]))  # type: ignore[union-attr]
                elif any(part["type"] == "input_audio" for part in parts):
                    self.stream(self.heard(parts))
                elif self.serving.eye is None:
                    self.whole({"error": {"message": "tiny is not a multimodal model."}}, 400)
                else:
                    self.stream(self.seen(parts, body["max_tokens"]))
        except (BrokenPipeError, ConnectionResetError):
            self.serving.left.set()
            self.close_connection = True

    def stream(self, pieces: Iterator[str]) -> None:
        self.begin()
        self.event(role="assistant", content=None)
        self.chunk(b": still here\r\n\r\n")
        for piece in pieces:
            self.event(content=piece)
        self.event(finish="stop")
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def seen(self, parts: list[dict[str, Any]], most: int) -> Iterator[str]:
        pictures = [picture for part in parts for picture in pictures_of(part)]
        self.serving.pictures.append(pictures)
        question = " ".join(part["text"] for part in parts if part["type"] == "text")
        told = 0
        assert self.serving.eye is not None
        for seen in self.serving.eye.describe(pictures[:1], style="sentence", question=question, max_words=most // 4):
            yield seen.text[told:]
            told = max(told, len(seen.text))

    def heard(self, parts: list[dict[str, Any]]) -> Iterator[str]:
        for part in parts:
            if part["type"] == "input_audio":
                assert part["input_audio"]["format"] == "wav"
                for one in self.listen(base64.b64decode(part["input_audio"]["data"]), Hearing()):
                    yield one["text"] + " "

    def transcribe(self, body: dict[str, Any]) -> None:
        if body["response_format"] == "verbose_json" and not self.serving.timed:
            self.whole({"detail": "Only json and text are supported."}, 400)
            return
        with self.serving.lock:
            hearing = Hearing(language=body.get("language", ""), words="word" in body.get("granularities", ()))
            found = self.listen(body["file"], hearing)
        whole = " ".join(one["text"] for one in found)
        if body["response_format"] == "json":
            self.whole({"text": whole})
        else:
            words = [word for one in found for word in one["words"]]
            self.whole({"text": whole, "language": "english", "segments": found, "words": words})

    def listen(self, wave: bytes, hearing: Hearing) -> list[dict[str, Any]]:
        samples, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
        assert rate == RATE
        self.serving.sounds.append(samples)
        assert self.serving.ear is not None
        segments = [heard.segment for heard in self.serving.ear.transcribe([Clip(samples)], hearing)]
        return [
            {
                "start": one.start, "end": one.end, "text": one.text,
                "words": [{"word": word.text, "start": word.start, "end": word.end} for word in one.words],
            }
            for one in segments
        ]  # fmt: skip

    def log_message(self, format: str, *args: object) -> None:
        return


def pictures_of(part: dict[str, Any]) -> list[Image.Image]:
    """The pictures in a part of a message, decoded."""
    if part["type"] == "image_url":
        urls = [part["image_url"]["url"].removeprefix("data:image/jpeg;base64,")]
    elif part["type"] == "video_url":
        urls = part["video_url"]["url"].removeprefix("data:video/jpeg;base64,").split(",")
    else:
        return []
    return [Image.open(io.BytesIO(base64.b64decode(url, validate=True))).convert("RGB") for url in urls]


def form(kind: str, data: bytes) -> dict[str, Any]:
    """The fields of a multipart form."""
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
    fields: dict[str, Any] = {"granularities": []}
    for part in message.walk():
        name = re.search(r' name="([^"]+)"', part.get("Content-Disposition", ""))
        if name is None:
            continue
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        if name[1] == "timestamp_granularities[]":
            fields["granularities"].append(value.decode())
        else:
            fields[name[1]] = value if name[1] == "file" else value.decode()
    return fields


@contextmanager
def serving(**more: Any) -> Iterator[Serving]:
    """A server on a free port."""
    state = Serving(**more)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Handler,), {"serving": state}))
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.end.set()
        server.shutdown()
        server.server_close()
        thread.join()


Serve = Callable[..., Serving]

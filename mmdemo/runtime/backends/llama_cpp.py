"""GGUF models that see (a language model and its `mmproj` file) in llama.cpp, where the package xllamacpp is installed.

llama.cpp runs as a process of its own and is asked as a server on the loopback address is: it can be stopped at every
token, its memory is the system's again when it ends, and what makes it crash leaves the studio running.
"""

from __future__ import annotations

import json
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from PIL import Image

from mmdemo import folders
from mmdemo.catalog import Remote
from mmdemo.errors import Cancelled, ServerFailed, StudioError, Unreachable, WeightsError
from mmdemo.runtime.backends.remote import RemoteBackend
from mmdemo.runtime.base import Load, Seen
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.remote import POLL, Server

CONTEXT = 4096
"""Tokens of one conversation: a picture of 1.6 million pixels takes up to 2,000 of them."""
ROWS = 4
"""Pictures at the same time."""
SECONDS = 600.0
"""Without a token: a slow CPU may read a large picture for minutes."""
KEPT = 4_000
"""Bytes of the process's last words that are looked at."""


class LlamaCppBackend(RemoteBackend):
    """A `Describer` that answers questions, and a `Talker`."""

    def __init__(self, request: Load) -> None:
        """Start the process, which loads the files.

        Raises:
            WeightsError: they are no model and its eye, or llama.cpp cannot run them.
            Cancelled: the user stopped while it was loading.
        """
        self.spec, self.device, self._plain = request.spec, request.device, threading.Event()
        request.go_on()
        self._llama = Process(request)
        self._source, self._server = self._llama.source, self._llama.server()

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """The files, which are mapped as they are."""
        model, eye = files_in(request.folders[request.spec.key])
        return Estimate((Part("model", 0, model.stat().st_size), Part("mmproj", 0, eye.stat().st_size)))

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """As `RemoteBackend.describe`."""
        self._alive()
        try:
            yield from super().describe(images, style=style, question=question, max_words=max_words)
        except (ServerFailed, Unreachable) as error:
            raise self._llama.ended(error) from None

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """As `RemoteBackend.talk`."""
        self._alive()
        try:
            yield from super().talk(messages, max_tokens=max_tokens)
        except (ServerFailed, Unreachable) as error:
            raise self._llama.ended(error) from None

    def close(self) -> None:
        """End the process: its memory goes with it."""
        self._llama.close()

    def _alive(self) -> None:
        """Start the process again if it has ended, maybe while another request asked it."""
        cancelled = self._server.cancelled
        self._llama.revive()
        self._source, self._server = self._llama.source, self._llama.server()
        self._server.cancelled = cancelled


class Process:
    """llama.cpp as a process, which all requests share."""

    source: Remote

    def __init__(self, request: Load) -> None:
        """Start it; see `LlamaCppBackend`."""
        self._request, self._title = request, request.spec.title
        self._start()

    def server(self) -> Server:
        """How it is asked."""
        return Server(self.source, self._key)

    def revive(self) -> None:
        """Start it again if it has ended."""
        if self.running.poll() is not None:
            self.close()
            self._start()

    def ended(self, error: StudioError) -> StudioError:
        """The error for a request that failed: that the process has ended, or what it said."""
        try:
            status = self.running.wait(1.0)
        except subprocess.TimeoutExpired:
            return error
        return ServerFailed(
            f"llama.cpp ended while {self._title} answered (status {status}): try again, with less at once."
        )

    def close(self) -> None:
        """End it."""
        self.running.kill()
        self.running.wait()
        for pipe in (self.running.stdin, self.running.stdout):
            if pipe:
                pipe.close()
        self._words.close()

    def _start(self) -> None:
        model, eye = files_in(self._request.folders[self._request.spec.key])
        self._key = key = secrets.token_hex(16)
        job = {
            "model": str(model), "mmproj": str(eye), "key": key, "context": CONTEXT, "rows": ROWS,
            "gpu": self._request.device == "cuda", "threads": self._request.threads,
        }  # fmt: skip
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        command = [sys.executable, "-m", "mmdemo.runtime.backends.llama_process"]
        root = Path(__file__).parents[3]
        self.running = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words
        )
        assert self.running.stdin is not None
        try:
            self.running.stdin.write(json.dumps(job).encode() + b"\n")
            self.running.stdin.flush()
            address = self._address()
        except (StudioError, OSError) as error:
            said = self._last_words()
            self.close()
            if isinstance(error, Cancelled):
                raise
            raise WeightsError(
                f"{self._title} cannot be run by llama.cpp ({said}): choose another model, or its safetensors."
            ) from None
        served = Server(Remote(address, "", seconds=SECONDS), key).models()
        self.source = Remote(address, served[0], seconds=SECONDS)

    def _address(self) -> str:
        """The line that the process prints when it has loaded."""
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        pipe = self.running.stdout
        assert pipe is not None
        threading.Thread(target=lambda: lines.put(pipe.readline()), name="llama.cpp", daemon=True).start()
        while True:
            self._request.go_on()
            try:
                line = lines.get(timeout=POLL)
            except queue.Empty:
                continue
            if not line:
                raise Unreachable("it ended")
            return line.decode().strip()

    def _last_words(self) -> str:
        """The last line that the process wrote about an error."""
        self._words.seek(0, 2)
        self._words.seek(max(0, self._words.tell() - KEPT))
        lines = [line.strip() for line in self._words.read().decode("utf-8", "replace").splitlines() if line.strip()]
        told = [line for line in lines if "rror" in line or "nable" in line or "ailed" in line]
        return (told or lines or ["it ended"])[-1][:200].rstrip(".")


def files_in(folder: Path) -> tuple[Path, Path]:
    """The GGUF file of the language model, and that of its eye.

    Raises:
        WeightsError: one of them is not there.
    """
    eye, model = folders.eye_in(folder)
    if model is None or eye is None:
        raise WeightsError(f"{folder.name} needs two GGUF files in {folder}: the model, and its mmproj.")
    return model, eye

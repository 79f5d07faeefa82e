"""Another program's server: llama.cpp serves the starter language model, and the studio asks it like any other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmdemo import catalog, remote_rows
from mmdemo.catalog import Remote
from mmdemo.errors import ServerFailed
from mmdemo.runtime import servers
from mmdemo.runtime.backends.remote import RemoteBackend
from mmdemo.runtime.base import Load
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

pytestmark = pytest.mark.weights
ROOT = Path(__file__).parents[3]
SPEC = catalog.get("smollm2-135m-instruct")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where llama.cpp serves the starter model."""
    model = fetch(SPEC, Settings.load()) / "model.gguf"
    command = [sys.executable, str(ROOT / "tests" / "llama_server.py"), str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.kill()


@pytest.fixture
def backend(address: str) -> RemoteBackend:
    model = servers.listed(address, Settings())[0].removeprefix("remote:").partition("@")[0]
    return RemoteBackend(Load(remote_rows.row("remote:x", Remote(address, model)), {}, "cpu", 1))


def whole(address: str, tokens: int) -> str:
    """What the server answers when it is asked by hand, and not as a stream."""
    body = json.dumps({"messages": QUESTION, "max_tokens": tokens, "temperature": 0}).encode()
    request = urllib.request.Request(f"{address}/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def test_llama_cpps_answer_arrives_in_pieces_and_whole(backend: RemoteBackend, address: str) -> None:
    pieces = list(backend.talk(QUESTION, max_tokens=12))
    assert "".join(pieces) == whole(address, 12)
    assert len(pieces) >= 5, "it streams"


def test_a_model_that_sees_nothing_says_so(backend: RemoteBackend) -> None:
    with pytest.raises(ServerFailed, match=r"(does not take this|is out of order)"):
        list(backend.describe([Image.new("RGB", (32, 32))], style="sentence", question="", max_words=9))


def test_leaving_stops_llama_cpp_too(backend: RemoteBackend) -> None:
    story = backend.talk([{"role": "user", "content": "Write a long story about a dog."}], max_tokens=2000)
    next(story)
    begun = time.monotonic()
    story.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 1
    assert "".join(backend.talk(QUESTION, max_tokens=3)), "and it answers the next question"

"""Nothing leaves the machine: the program with real weights, under a guard that refuses every other destination."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mmdemo
from mmdemo.settings import Settings

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "assets" / "samples"
Guarded = Callable[..., subprocess.CompletedProcess[str]]

ASK = """
import json, subprocess, sys
server = subprocess.Popen([sys.executable, "app.py", "--port", sys.argv[1]], stdout=subprocess.PIPE, text=True)
import mmdemo  # only after the server has its environment: keeps Gradio's client from reporting this use of it
from gradio_client import Client, handle_file
try:
    address = server.stdout.readline().split()[1]
    studio = Client(address, verbose=False)
    described = studio.predict(files=[handle_file(sys.argv[2])], api_name="/describe")
    heard = studio.predict(files=[handle_file(sys.argv[3])], api_name="/transcribe")
    print(json.dumps([described[0]["text"], heard[0]["text"]]))
finally:
    server.terminate()
    server.wait(60)
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    """Runs Python under the guard, with the network switched on as far as the program knows."""
    record = tmp_path / "left.txt"
    record.touch()
    hidden = ("HF_", "PIP_", "MMDEMO_", "TRANSFORMERS_", "DO_NOT_TRACK", "GRADIO_", mmdemo.HUB_SWITCH_KEPT)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(hidden) and not name.lower().endswith("_proxy")
    }
    environment |= {
        "PYTHONPATH": str(ROOT / "tests" / "guard"),
        "STAYS_HERE": str(record),
        "MMDEMO_HOME": Settings.load().home,
        "GRADIO_TEMP_DIR": str(tmp_path / "page"),
    }

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)

    return run


def left(tmp_path: Path) -> list[str]:
    """The attempts to leave that were recorded."""
    return (tmp_path / "left.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("import socket; socket.socket().connect(('192.0.2.1', 9))", "socket.connect '192.0.2.1'"),
        ("import urllib.request; urllib.request.urlopen('http://hub.invalid/')", "socket.getaddrinfo 'hub.invalid'"),
        ("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", "socket.sendto"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-P', '-c', "
         "'import socket; socket.create_connection((\"192.0.2.1\", 9))'], check=True)", "socket.getaddrinfo"),
    ],
)  # fmt: skip
def test_the_guard_sees_and_refuses_what_leaves(guarded: Guarded, tmp_path: Path, code: str, event: str) -> None:
    done = guarded("-c", code)
    assert done.returncode == 1
    assert "would leave this machine" in done.stderr
    assert [line.startswith(event) for line in left(tmp_path)] == [True]


def test_the_guard_lets_this_machine_talk_to_itself(guarded: Guarded, tmp_path: Path) -> None:
    talk = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "c = socket.create_connection(('localhost', s.getsockname()[1])); print(c.getpeername()[0])"
    )
    assert guarded("-c", talk).stdout == "127.0.0.1\n"
    assert left(tmp_path) == []


def test_a_library_that_would_ask_the_hub_by_itself_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    ask = "import mmdemo, tokenizers; tokenizers.Tokenizer.from_pretrained('openai/whisper-tiny')"
    done = guarded("-c", ask)
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE" in done.stderr or "ffline" in done.stderr
    assert left(tmp_path) == []


@pytest.mark.weights
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("models", "list"), "whisper-base"),
        (("describe", SAMPLES / "coffee.jpg", "--question", "What is it?"), ""),
        (("transcribe", SAMPLES / "speech.flac", "--words"), "printing"),
        (("caption", SAMPLES / "clip.mp4"), "00:00:00,000 --> "),
    ],
    ids=["models", "describe", "transcribe", "caption"],
)
def test_no_command_leaves_the_machine(
    guarded: Guarded, tmp_path: Path, words: tuple[object, ...], expected: str
) -> None:
    done = guarded("-m", "mmdemo", *words)
    assert left(tmp_path) == []
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout.lower()
    assert done.stdout.strip()


@pytest.mark.weights
def test_the_server_does_not_leave_the_machine(guarded: Guarded, tmp_path: Path, free_port: int) -> None:
    done = guarded("-c", ASK, free_port, SAMPLES / "coffee.jpg", SAMPLES / "speech.flac")
    assert left(tmp_path) == []
    assert done.returncode == 0, done.stderr
    described, heard = json.loads(done.stdout.splitlines()[-1])
    assert described.endswith(".") and len(described) > 3
    assert "printing" in heard.lower()

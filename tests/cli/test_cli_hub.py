"""`models search`, and a repository of the Hub as a `--model`: searched, fetched, used offline, removed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mmdemo import torchvision_ops
from tests.loopback import COMMIT, Served

Command = Callable[..., tuple[int, str, str]]
Publish = Callable[..., None]
KEY = "hub:someone/tiny-eyes"
ROOT = Path(__file__).parents[2]
SAMPLE = sorted((ROOT / "assets" / "samples").glob("*.jpg"))[0]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a tiny random SmolVLM2."""
    torchvision_ops.prepare()
    from tests.runtime.backends.tiny_vision import smolvlm

    folder = tmp_path_factory.mktemp("smolvlm")
    smolvlm(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def online(command: Command, hub: Publish, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, with the Hub in reach and the tiny model on it."""
    monkeypatch.setenv("MMDEMO_OFFLINE", "no")
    hub("someone/tiny-eyes", files, pipeline_tag="image-text-to-text", library_name="transformers", downloads=42,
        tags=["license:mit"], cardData={"license": "mit"})  # fmt: skip
    hub("someone/tiny-talk", {"config.json": b'{"architectures": ["LlamaForCausalLM"]}', "model.safetensors": b"w"},
        pipeline_tag="text-generation", tags=["gguf"], gated="auto")  # fmt: skip
    return command


def test_searching_prints_a_table_or_a_line_of_json_each(online: Command) -> None:
    status, out, _ = online("models", "search", "tiny", "--task", "describe", "--json")
    (found,) = map(json.loads, out.splitlines())
    assert status == 0
    assert (found["key"], found["task"], found["licence"], found["downloads"]) == (KEY, "describe", "mit", 42)
    status, out, _ = online("models", "search", "someone")
    head, *lines = out.splitlines()
    assert head.split() == ["key", "task", "size", "downloads", "licence"]
    assert [line.split()[0] for line in lines] == [KEY, "hub:someone/tiny-talk"]
    assert lines[1].endswith("not stated (gated)")
    assert online("models", "search", "tiny", "--licence", "mit", "--json")[1].count("\n") == 1
    status, out, err = online("models", "search", "no", "such", "thing", "--billions", "0.5")
    assert (status, out) == (0, "") and "no model of that name that runs here" in err


def test_what_a_repository_would_take_is_known_before_its_weights_are_fetched(online: Command, served: Served) -> None:
    status, out, _ = online("models", "estimate", KEY, "--quantization", "fp32", "--device", "cpu", "--json")
    before = json.loads(out)
    assert status == 0 and before["weights"] > 0 and before["cache"] > 0
    heads = [(wanted, sent) for path, wanted, sent in served.log if path.endswith(".safetensors")]
    assert heads and all(re.fullmatch(r"bytes=\d+-\d+", wanted) and sent <= 100_000 for wanted, sent in heads)
    assert online("models", "fetch", KEY)[0] == 0
    after = json.loads(online("models", "estimate", KEY, "--quantization", "fp32", "--device", "cpu", "--json")[1])
    assert after == before


def test_a_repository_is_fetched_used_without_a_network_listed_and_removed(
    online: Command, served: Served, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = online("models", "fetch", KEY, "--json")
    kept = sum(len(data) for data in files.values())
    fetched = json.loads(out)
    assert (status, fetched["key"], fetched["cached"]) == (0, KEY, True)
    assert fetched["bytes"] >= kept
    monkeypatch.setenv("MMDEMO_OFFLINE", "yes")
    asked = len(served.log)
    before = datetime.now(UTC) - timedelta(seconds=1)
    status, out, err = online("describe", "--model", KEY, "--max-words", "5", "--labels", "0", "--json", SAMPLE)
    assert status == 0, err
    assert json.loads(out)["model"] == KEY
    (row,) = map(json.loads, online("models", "list", KEY, "--json")[1].splitlines())
    assert row["cached"] and row["origin"] == "someone/tiny-eyes" and row["licence"] == "mit"
    assert before <= datetime.fromisoformat(row["last_used"]) <= datetime.now(UTC)
    line = next(line for line in online("models", "list")[1].splitlines() if line.startswith(KEY))
    assert f" {datetime.now():%Y-%m-%d} " in line or f" {datetime.now() - timedelta(minutes=1):%Y-%m-%d} " in line
    assert len(served.log) == asked
    assert json.loads(online("models", "remove", KEY, "--json")[1])["freed"] >= kept
    assert KEY not in online("models", "list")[1]


def test_a_model_that_cannot_do_the_task_is_refused_before_its_weights_are_fetched(
    online: Command, served: Served
) -> None:
    status, _, err = online("describe", "--model", "hub:someone/tiny-talk", SAMPLE)
    assert status == 1 and "tiny-talk does not look at pictures" in err
    assert not any(path.endswith(".safetensors") for path, _, _ in served.log)


def test_one_that_is_not_here_yet_is_fetched_by_the_task_that_wants_it(online: Command) -> None:
    status, out, err = online("describe", "--model", KEY, "--max-words", "5", "--labels", "0", SAMPLE)
    assert status == 0, err
    assert "Looking at someone/tiny-eyes on the Hub" in err and "Fetching someone/tiny-eyes from the Hub" in err
    assert out.strip()


def test_a_key_that_is_none_is_one_sentence(online: Command) -> None:
    status, _, err = online("models", "fetch", "hub:nonsense")
    assert status == 1 and err == (
        "'hub:nonsense' names no repository of the Hub: write it as hub:owner/name, hub:owner/name@revision or "
        "hub:owner/name/file.gguf.\n"
    )


def test_ctrl_c_keeps_what_has_arrived_and_the_same_command_goes_on(
    online: Command, served: Served, tmp_path: Path
) -> None:
    path = f"/someone/tiny-eyes/resolve/{COMMIT}/model.safetensors"
    served.held.add(path)
    parts = tmp_path / "home" / "models" / ".staging" / "hub--someone--tiny-eyes" / "hub" / ".parts"
    command = [sys.executable, "-m", "mmdemo", "models", "fetch", KEY]
    program = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def there() -> int:
        return max((part.stat().st_size for part in parts.glob("*")), default=0)

    end = time.monotonic() + 60
    while there() < 1 << 16:
        assert time.monotonic() < end and program.poll() is None
        time.sleep(0.02)
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130 and "Stopped." in err and "Traceback" not in err
    start = there()
    (listed,) = map(json.loads, online("models", "list", KEY, "--json")[1].splitlines())
    assert not listed["cached"] and listed["arrived"] >= start
    served.held.clear()
    assert online("models", "fetch", KEY)[0] == 0
    assert served.of(path)[-1][0] == f"bytes={start}-"

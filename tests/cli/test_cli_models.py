"""`models list|fetch|remove`, and what a start of the command line costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo import catalog
from mmdemo.runtime import crashes
from mmdemo.settings import Settings

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]


def test_the_list_has_a_line_for_each_row_of_the_catalog(command: Command) -> None:
    status, out, _ = command("models", "list")
    head, *lines = out.splitlines()
    assert status == 0
    assert head.split() == ["key", "title", "size", "cached", "used", "licence"]
    assert [line.split()[0] for line in lines] == [row.key for row in catalog.ROWS]
    tiny = next(line for line in lines if line.startswith("whisper-tiny.en"))
    assert tiny.split()[-5:] == ["78", "MB", "no", "-", "MIT"]
    assert next(line for line in lines if line.startswith("fake-eye")).split()[2:5] == ["0", "MB", "yes"]


def test_the_list_as_json(command: Command) -> None:
    _, out, _ = command("models", "list", "whisper-base", "fake-ear", "--json")
    first, second = map(json.loads, out.splitlines())
    assert (first["key"], first["cached"], first["bytes"], first["starter"]) == (
        "whisper-base", False, catalog.get("whisper-base").bytes, True,
    )  # fmt: skip
    assert (second["key"], second["cached"], second["bytes"]) == ("fake-ear", True, 12)


def test_one_that_cannot_be_fetched_does_not_keep_the_others_from_it(command: Command) -> None:
    status, out, err = command("models", "fetch", "smolvlm2-256m", "fake-eye", "--json")
    first, second = map(json.loads, out.splitlines())
    assert status == 1
    assert first["key"] == "smolvlm2-256m"
    assert first["error"]
    assert second == {"key": "fake-eye", "cached": True, "bytes": 12}
    assert "smolvlm2-256m: " in err
    assert "fake-eye: in the cache" in err


def test_removing_frees_what_was_there(command: Command, tmp_path: Path) -> None:
    row = catalog.get("moonshine-base")
    folder = tmp_path / "home" / "models" / row.key
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    status, out, _ = command("models", "remove", row.key, "--json")
    assert (status, json.loads(out)) == (0, {"key": row.key, "freed": 1000})
    assert not folder.exists()


def test_removing_leaves_the_weights_that_came_with_the_program(command: Command, tmp_path: Path) -> None:
    command("models", "remove", "fake-eye")
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == ["config.json", "model.safetensors"]


def test_preparing_loads_each_once_and_frees_it(command: Command) -> None:
    status, out, err = command("models", "prepare", "fake-eye", "fake-ear", "--json")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"key": "fake-eye", "ready": True},
        {"key": "fake-ear", "ready": True},
    ]
    assert "fake-eye: ready" in err


@pytest.mark.parametrize(
    ("words", "status"),
    [(["fetch"], 2), (["remove"], 2), (["fetch", "nosuch"], 1), ([], 2), (["list", "nosuch"], 1)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_there_is_refused(command: Command, words: list[str], status: int) -> None:
    found, out, err = command("models", *words)
    assert (found, out) == (status, "")
    assert err


@pytest.mark.weights
def test_fetching_a_cached_starter_set_imports_nothing_heavy() -> None:
    """The set-up has fetched the set; asking again is a matter of file names."""
    code = (
        "import sys; from mmdemo.cli import main; status = main(['models', 'fetch', '--starter', '--json']); "
        "heavy = {'torch', 'transformers', 'gradio', 'cv2', 'openvino', 'huggingface_hub'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    keys = [json.loads(line)["key"] for line in done.stdout.splitlines()]
    assert keys == [row.key for row in catalog.ROWS if row.starter]
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_and_version_need_no_model(command: Command) -> None:
    assert command("--version")[1].startswith("mmdemo 0.")
    status, out, _ = command("--help")
    assert status == 0
    assert all(word in out for word in ("describe", "caption", "transcribe", "models"))
    assert command()[0] == 2


def test_a_model_that_broke_down_is_marked_in_the_list(command: Command, tmp_path: Path) -> None:
    spec = catalog.get("fake-eye")
    settings = Settings(home=str(tmp_path / "home"))
    crashes.mark(spec, settings, "fake-eye broke down.")
    _, out, _ = command("models", "list")
    assert "yes, but broke down" in next(line for line in out.splitlines() if line.startswith("fake-eye"))
    _, out, _ = command("models", "list", "fake-eye", "--json")
    assert json.loads(out)["problem"] == "fake-eye broke down."
    crashes.clear(spec, settings)
    _, out, _ = command("models", "list", "fake-eye", "--json")
    assert json.loads(out)["problem"] == ""

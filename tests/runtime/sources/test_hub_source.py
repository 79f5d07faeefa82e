"""Weights from the Hub: its real client, against a server that speaks just enough of the Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import mmdemo
from mmdemo.catalog import Hub, ModelSpec
from mmdemo.errors import Cancelled, ChecksumMismatch, NoSpace, Unreachable
from mmdemo.runtime.sources import Progress, cached, fetch
from mmdemo.runtime.sources.hub_download import choose
from mmdemo.settings import Settings

Publish = Callable[..., None]
Row = Callable[..., ModelSpec]
WEIGHTS = bytes(range(256)) * 4000
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"# hi", "onnx/config.json": b"[]"}
REPO = "someone/tiny"
ROOT = Path(__file__).parents[3]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def resolve(name: str) -> str:
    return f"/{REPO}/resolve/0123456789abcdef0123456789abcdef01234567/{name}"


def test_a_row_without_pinned_files_takes_what_its_patterns_match(hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    steps: list[Progress] = []
    folder = fetch(spec, settings, steps.append)
    assert names(folder) == {"config.json", "model.safetensors", ".complete.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert set(json.loads((folder / ".complete.json").read_text())["files"]) == {"config.json", "model.safetensors"}
    assert cached(spec, settings) == folder
    assert {"Fetching someone/tiny from the Hub", "Checking model.safetensors"} <= {step.stage for step in steps}
    assert names(settings.models_folder) - {f"tiny/{name}" for name in names(folder)} == {".staging/tiny.lock"}


def test_pinned_files_may_have_other_names_there(hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, {"Tiny.Q4_1.gguf": WEIGHTS, "other.gguf": b"x"})
    spec = row(Hub(REPO, files={"model.gguf": "Tiny.Q4_1.gguf"}), files={"model.gguf": WEIGHTS})
    folder = fetch(spec, settings)
    assert names(folder) == {"model.gguf", ".complete.json"}
    assert (folder / "model.gguf").read_bytes() == WEIGHTS


def test_the_catalogs_checksum_decides_not_the_hubs(hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, {"model.safetensors": b"others"})
    spec = row(Hub(REPO), files={"model.safetensors": WEIGHTS})
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors from someone/tiny on the Hub is damaged"):
        fetch(spec, settings)
    assert cached(spec, settings) is None
    assert names(settings.models_folder / "tiny") == set()


def test_a_large_file_that_is_not_what_the_hub_lists_is_refused(hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, FILES, listed={"model.safetensors": b"what was uploaded"})
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors from someone/tiny on the Hub is damaged"):
        fetch(row(Hub(REPO)), settings)


@pytest.mark.parametrize(("status", "code"), [(404, "RepoNotFound"), (401, "RepoNotFound"), (404, "")])
def test_an_absent_repository_is_named(
    status: int, code: str, served, hub: Publish, row: Row, settings: Settings
) -> None:
    served.refused[f"/api/models/{REPO}/revision/main"] = (status, {"X-Error-Code": code} if code else {})
    with pytest.raises(Unreachable, match="the Hub has no someone/tiny at 'main', or it is private and needs HF_TOKEN"):
        fetch(row(Hub(REPO)), settings)


def test_an_absent_file_is_named(hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, FILES)
    with pytest.raises(Unreachable, match=r"someone/tiny on the Hub has no file model\.bin"):
        fetch(row(Hub(REPO), files={"model.bin": WEIGHTS}), settings)


def test_a_gated_repository_says_what_to_do(served, hub: Publish, row: Row, settings: Settings) -> None:
    served.refused[f"/api/models/{REPO}/revision/main"] = (403, {"X-Error-Code": "GatedRepo"})
    with pytest.raises(Unreachable, match=f"is gated: accept its terms at {served.address}/{REPO} and set HF_TOKEN"):
        fetch(row(Hub(REPO)), settings)


def test_files_behind_a_gate_say_so_too(served, hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, FILES)
    for name in FILES:
        served.refused[resolve(name)] = (401, {"X-Error-Code": "GatedRepo"})
    with pytest.raises(Unreachable, match="is gated: accept its terms"):
        fetch(row(Hub(REPO)), settings)


def test_a_refused_token_says_so(served, hub: Publish, row: Row, settings: Settings) -> None:
    served.refused[f"/api/models/{REPO}/revision/main"] = (403, {})
    with pytest.raises(Unreachable, match="the Hub refuses someone/tiny to this user: set HF_TOKEN"):
        fetch(row(Hub(REPO)), settings)


def test_a_hub_that_does_not_answer_is_unreachable(
    row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="the Hub could not be reached for someone/tiny"):
        fetch(row(Hub(REPO)), settings)


def test_a_hub_switched_off_by_its_own_variable_is_named(
    hub: Publish, row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mmdemo.HUB_SWITCH_KEPT, "1")  # what the user had set when the program started
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE keeps the Hub from being asked"):
        fetch(row(Hub(REPO)), settings)


def test_only_the_program_that_fetches_may_ask_the_hub(
    served, hub: Publish, row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(REPO, FILES)
    monkeypatch.setenv(mmdemo.HUB_SWITCH, "1")  # as in a program that a user has started
    monkeypatch.setenv(mmdemo.HUB_SWITCH_KEPT, "")
    assert (fetch(row(Hub(REPO)), settings) / "model.safetensors").is_file()
    asked = subprocess.run(
        [sys.executable, "-c", "import mmdemo, os; from huggingface_hub import constants as h; print(h.HF_HUB_OFFLINE, "
         "h.HF_HUB_DISABLE_TELEMETRY, os.environ['GRADIO_ANALYTICS_ENABLED'])"],
        env={name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GRADIO_", "_MMDEMO"))},
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout == "True True False\n"


def test_stop_ends_the_download_at_once_and_the_next_try_goes_on(
    served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.held.add(resolve("model.safetensors"))
    stopped_at: list[float] = []

    def cancelled() -> bool:
        if not stopped_at and served.asked[resolve("model.safetensors")]:
            stopped_at.append(time.monotonic())
        return bool(stopped_at)

    with pytest.raises(Cancelled):
        fetch(row(Hub(REPO)), settings, cancelled=cancelled)
    assert time.monotonic() - stopped_at[0] < 1
    assert psutil.Process().children() == []
    served.held.clear()
    served.go.set()
    assert names(fetch(row(Hub(REPO)), settings)) == {"config.json", "model.safetensors", ".complete.json"}
    assert served.asked[resolve("config.json")] == 1


def test_a_repository_larger_than_the_disk_is_refused_before_it_is_fetched(
    served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    path = f"/api/models/{REPO}/revision/main"
    info = json.loads(served.bodies[path])
    info["siblings"][1]["size"] = 10**15
    served.bodies[path] = json.dumps(info).encode()
    with pytest.raises(NoSpace, match=r"Tiny needs 1,000,000,064 MB and "):
        fetch(row(Hub(REPO)), settings)
    assert served.asked[resolve("model.safetensors")] == 0


def test_a_file_name_that_would_leave_the_folder_is_not_trusted(
    served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, {"../../escaped.json": b"{}"})
    with pytest.raises(Unreachable, match=r"it lists '\.\./\.\./escaped\.json', which is no plain file name"):
        fetch(row(Hub(REPO, patterns=("../../*.json",))), settings)
    assert set(served.asked) == {f"/api/models/{REPO}/revision/main"}


def test_a_pattern_without_a_slash_matches_no_subfolder() -> None:
    assert choose(["a.json", "onnx/a.json", "b.bin"], [], ["*.json"]) == ["a.json"]
    assert choose(["a.json", "onnx/a.json", "b.bin"], [], ["onnx/*.json"]) == ["onnx/a.json"]
    assert choose(["a.json"], ["c.txt"], ["*.json"]) == ["c.txt"]

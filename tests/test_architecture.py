"""The map of docs/architecture.md, checked: who may import whom, where heavy packages live, what loads at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mmdemo"
TIERS = (  # from the bottom up: a room may import the rooms of lower tiers, and itself
    ("errors", "torchvision_ops", "private_openvino"),
    ("results", "options", "own_files"),
    ("settings", "specs"),
    ("families", "hub_models", "packings"),
    ("folders", "hub_rows", "remote_rows", "trusted_code"),
    ("catalog",),
    ("chains",),
    ("media",),
    ("fusion",),
    ("runtime",),
    ("datasets", "jobs"),
    ("tasks", "starter", "training"),
    ("studio",),
    ("ui", "api", "cli"),
    ("__main__", "app"),
)
ENGINES = (
    "runtime/backends/",
    "runtime/convert.py",
    "runtime/vad.py",
    "fusion/",
    "starter/",
    "training/",
    "torchvision_ops.py",
)
ASKED = ("runtime/device.py", "runtime/memory.py")
HOME = {  # package: where its name may be written, as beginnings of paths in mmdemo/
    "gradio": ("ui/", "app.py"),
    "torch": ENGINES + ASKED,
    "torchvision": ENGINES,
    "transformers": ENGINES,
    "timm": ENGINES,
    "openvino": ("private_openvino.py",),  # which keeps its telemetry out
    "ctranslate2": ENGINES,
    "faster_whisper": ENGINES,
    "safetensors": ENGINES,
    "peft": ENGINES,
    "jiwer": ("training/",),
    "seqeval": ("training/",),
    "optuna": ("training/",),
    "sklearn": ("training/", "fusion/"),
    "cv2": ("media/",),
    "av": ("media/",),
    "scenedetect": ("media/",),
    "moviepy": ("media/render.py",),
    "rapidocr": ("runtime/ocr.py",),
    "onnxruntime": ("runtime/ocr.py",),
    "httpx": ("runtime/remote",),
}
FILES = [ROOT / "app.py", *(path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py")]
HEAVY = ("torch", "torchvision", "transformers", "timm", "cv2", "av", "openvino", "faster_whisper", "ctranslate2",
         "scenedetect", "rapidocr", "onnxruntime", "moviepy", "accelerate")  # fmt: skip
LONGEST = 300


def name(path: Path) -> str:
    """The path inside mmdemo/; app.py is itself."""
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Every full name that `path` imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def may_import(room: str) -> set[str]:
    """The rooms that `room` may import."""
    level = next((i for i, tier in enumerate(TIERS) if room in tier), None)
    assert level is not None, f"{room} has no place in TIERS: give it one, and docs/architecture.md a line"
    return {room, "__version__"}.union(*TIERS[:level])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_down(path: Path) -> None:
    room = name(path).split("/")[0].removesuffix(".py")
    for target in imported(path):
        top, *rest = target.split(".")
        if top == "mmdemo" and rest:
            assert rest[0] in may_import(room), f"{room} must not import {target}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_heavy_packages_stay_at_home(path: Path) -> None:
    for target in imported(path):
        home = HOME.get(target.split(".")[0])
        assert home is None or name(path).startswith(home), f"{target} belongs in {home}"


@pytest.mark.parametrize(
    "path", [*FILES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)  # fmt: skip
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines: split it by responsibility"


def test_the_check_sees_imports_inside_functions(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    import torch.nn\n    from mmdemo.ui import theme\n")
    assert imported(file) == {"torch.nn", "mmdemo.ui.theme"}


def test_a_lower_room_may_not_import_a_higher_one() -> None:
    assert "ui" not in may_import("studio")
    assert "starter" not in may_import("tasks")
    assert {"errors", "runtime", "tasks"} <= may_import("studio")


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [("mmdemo.studio, mmdemo.cli, mmdemo.tasks", ()), ("mmdemo.ui, app", ("gradio",))],
    ids=["command line", "page"],
)
def test_nothing_heavy_is_imported_at_start(modules: str, allowed: tuple[str, ...]) -> None:
    code = f"import sys; sys.path.insert(0, '.'); import {modules}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & ({*HEAVY, "gradio"} - set(allowed)) == set()

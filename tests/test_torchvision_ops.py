"""torchvision beside a CPU build of torch: a fresh Python for each claim, because an import cannot be taken back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python of its own; what it says is in `stdout`, its last words in `stderr`."""
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def declared() -> bool:
    """Whether this build needs the schemas: what `prepare()` says of itself."""
    done = python("from mmdemo import torchvision_ops; print(torchvision_ops.prepare())")
    assert done.stdout in ("True\n", "False\n"), done.stderr
    return done.stdout == "True\n"


def test_without_it_the_import_fails_where_the_real_operators_do_not_load(declared: bool) -> None:
    done = python("import torchvision; print('imported')")
    if not declared:
        assert done.stdout == "imported\n", "the real operators load: nothing is declared, and nothing was needed"
        pytest.skip("the real operators load beside this torch")
    assert done.returncode == 1
    assert "operator torchvision::nms does not exist" in done.stderr


def test_with_it_the_import_works_and_the_transforms_do() -> None:
    done = python(
        "from mmdemo import torchvision_ops; torchvision_ops.prepare()\n"
        "import torch, torchvision\n"
        "from torchvision.transforms import v2\n"
        "image = torch.arange(12.0).reshape(1, 3, 4)\n"
        "print(v2.functional.resize(image, [1, 1]).item(), v2.functional.horizontal_flip(image)[0, 0].tolist())"
    )
    assert done.stdout == "5.5 [3.0, 2.0, 1.0, 0.0]\n", done.stderr


def test_a_second_call_changes_nothing(declared: bool) -> None:
    done = python(
        "from mmdemo import torchvision_ops\n"
        "print(torchvision_ops.prepare(), torchvision_ops.prepare())\n"
        "kept = len(torchvision_ops._kept)\n"
        "torchvision_ops._prepared.cache_clear()\n"
        "torchvision_ops.prepare()\n"
        "import torchvision; print(kept)"
    )
    assert done.stdout == f"{declared} {declared}\n{int(declared)}\n", done.stderr


def test_threads_that_come_at_once_declare_it_once(declared: bool) -> None:
    done = python(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Barrier\n"
        "import torch\n"
        "from mmdemo import torchvision_ops\n"
        "barrier = Barrier(16)\n"
        "def one(_):\n"
        "    barrier.wait()\n"
        "    return torchvision_ops.prepare()\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    print(set(pool.map(one, range(16))), len(torchvision_ops._kept))"
    )
    assert done.stdout == f"{{{declared}}} {int(declared)}\n", done.stderr


def test_timm_and_the_processors_of_transformers_import() -> None:
    done = python(
        "from mmdemo import torchvision_ops; torchvision_ops.prepare()\n"
        "import timm, torch\n"
        "from transformers import SmolVLMProcessor, SmolVLMImageProcessor, SmolVLMVideoProcessor\n"
        "model = timm.create_model('tf_efficientnet_lite2', pretrained=False).eval()\n"
        "print(len(model.state_dict()), tuple(model(torch.zeros(1, 3, 260, 260)).shape))\n"
        "print(SmolVLMProcessor.__name__, SmolVLMImageProcessor().size, SmolVLMVideoProcessor.__name__)"
    )
    lines = done.stdout.splitlines()
    assert lines[:1] == ["386 (1, 1000)"], done.stderr
    assert lines[1].startswith("SmolVLMProcessor ")
    assert lines[1].endswith(" SmolVLMVideoProcessor")


def test_an_operator_that_is_only_declared_still_fails_loudly(declared: bool) -> None:
    done = python(
        "from mmdemo import torchvision_ops; torchvision_ops.prepare()\n"
        "import torch\nfrom torchvision.ops import nms\n"
        "print(nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5).tolist())"
    )
    if declared:
        assert done.returncode == 1
        assert "RuntimeError: Couldn't load custom C++ ops" in done.stderr
    else:
        assert done.stdout == "[0]\n", "the real operator answers"

"""Which device, and how many cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdemo.errors import UnknownName, Unsupported
from mmdemo.runtime import device


def test_the_cpu_is_there_and_says_its_cores() -> None:
    assert device.choose("cpu") == "cpu"
    assert device.describe("cpu") == f"CPU, {device.cores()} cores"
    assert device.describe("mps") == "Apple GPU"


def test_auto_is_the_best_there_is() -> None:
    import torch

    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert device.choose("auto") == best


def test_a_device_that_is_not_here_says_what_to_set() -> None:
    import torch

    absent = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(Unsupported, match=f"no {absent} device here: set MMDEMO_DEVICE to auto or cpu"):
        device.choose(absent)


def test_an_unknown_device_lists_the_devices() -> None:
    with pytest.raises(UnknownName, match="no device 'gpu'; choose from: auto, cpu, cuda, mps"):
        device.choose("gpu")


@pytest.mark.parametrize("driver", device.DRIVERS)
def test_each_sign_of_a_gpu_makes_auto_look_for_one(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    here = tmp_path / Path(driver).name
    monkeypatch.setattr(device, "DRIVERS", (str(tmp_path / "absent"), str(here)))
    device.choose.cache_clear()
    try:
        if Path("/proc").exists():
            assert device.choose("auto") == "cpu", "no sign of one: torch is not asked"
            device.choose.cache_clear()
        here.write_text("")
        assert device.choose("auto") == "cuda"
    finally:
        device.choose.cache_clear()


def test_asking_for_the_cpu_does_not_import_torch() -> None:
    code = "import sys; from mmdemo.runtime import device; device.choose('cpu'); print('torch' in sys.modules)"
    root = Path(device.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        ("max 100000\n", None),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("9900000 100000\n", None),
        ("odd\n", None),
    ],
)
def test_a_container_may_grant_fewer_cores(tmp_path: Path, text: str, granted: int | None) -> None:
    quota = tmp_path / "cpu.max"
    bound = device.cores(tmp_path / "absent")
    assert 1 <= bound <= (os.cpu_count() or 1)
    quota.write_text(text)
    assert device.cores(quota) == (bound if granted is None else granted)

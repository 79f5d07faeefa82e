"""Unloading gives the memory back, twenty times over: real engines in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdemo.settings import Settings

ROOT = Path(__file__).parents[2]
TIMES = 20
SCRIPT = """
import gc, sys, threading
import psutil
from mmdemo import catalog
from mmdemo.runtime import memory
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from mmdemo.studio import Studio

key, home, quantization, times = sys.argv[1:]
studio = Studio(Settings(home=home, device="cpu", threads=1, offline=True))
taken = 0

def resident():
    gc.collect()
    memory.give_back()
    return psutil.Process().memory_info().rss

def once():
    global taken
    def use():
        with studio.manager.lease() as models:
            backend = models.get(key, how=How(quantization))
            for said in ("the dog runs", "the dog runs on the grass"):
                if hasattr(backend, "embed"):
                    backend.embed([said] * 40)
                else:
                    list(backend.talk([{"role": "user", "content": said}], max_tokens=5))
    before = psutil.Process().memory_info().rss
    studio.worker.call(use)
    taken = max(taken, psutil.Process().memory_info().rss - before)
    studio.unload(key)

once()  # libraries allocate tables of their own at their first use
before = resident()
after = []
for _ in range(int(times)):
    once()
    after.append(resident())
print(before, taken, max(after), after[-1])
studio.close()
"""


def run(key: str, home: str, quantization: str, times: int) -> tuple[int, int, int, int]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, key, home, quantization, str(times)],
        capture_output=True, text=True, timeout=300, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, taken, most, last = map(int, done.stdout.split())
    return before, taken, most, last


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random language model of 80 MB."""
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.runtime.backends import tiny_language

    place = tmp_path_factory.mktemp("language")
    sizes = {**tiny_language.small(), "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 8}
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(place)
    tiny_language.tokenizer().save_pretrained(place)
    return place


@pytest.mark.parametrize("quantization", ["fp32", "int8", "int4"])
def test_a_transformers_model_leaves_nothing_behind(quantization: str, folder: Path, tmp_path: Path) -> None:
    before, taken, most, last = run(
        f"folder:{folder}", str(tmp_path), quantization, TIMES if quantization == "fp32" else 5
    )
    assert taken > 15_000_000, "it was there"
    assert most <= 1.05 * before and last <= 1.05 * before, (before / 1e6, taken / 1e6, most / 1e6)


@pytest.mark.weights
def test_the_starter_language_model_leaves_nothing_behind(tmp_path: Path) -> None:
    """OpenVINO's threads allocate and free, each from a heap of its own if glibc has its way."""
    before, taken, most, last = run("smollm2-135m-instruct", Settings.load().home, "auto", TIMES)
    assert taken > 150_000_000, "it was there"
    assert most <= 1.05 * before and last <= 1.05 * before, (before / 1e6, taken / 1e6, most / 1e6)


@pytest.mark.weights
def test_the_text_encoder_leaves_nothing_behind(tmp_path: Path) -> None:
    before, taken, most, last = run("all-minilm-l6-v2", Settings.load().home, "auto", TIMES)
    assert taken > 100_000_000, "it was there"
    assert most <= 1.05 * before and last <= 1.05 * before, (before / 1e6, taken / 1e6, most / 1e6)

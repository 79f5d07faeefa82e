"""The starter language model, 128 tokens, through every engine and quantization that works on this processor.

The engines take turns, so that what else the machine does falls on all; medians. The reference is llama.cpp on the same
file, if `xllamacpp` is installed. Bandwidth is the bytes of weights that are read a second, as a share of what copying
memory reaches. What fewer bits cost in quality is in docs/experiments.md.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import Row, at_least
from mmdemo import catalog
from mmdemo.runtime import backends, device, quantization
from mmdemo.runtime.base import Load
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

KEY = "smollm2-135m-instruct"
TOKENS = 128
REPEATS = 3
ASKED = [{"role": "user", "content": "A picture shows a dog on a beach. Tell me a long story about it."}]


def run() -> list[Row]:
    """Tokens a second of each, with the prompt; the default against llama.cpp."""
    spec, settings = catalog.get(KEY), Settings.load()
    folder = fetch(spec, settings)
    threads = device.cores()
    engines: dict[str, Callable[[], float]] = {}
    for way in quantization.ways(spec, "cpu"):
        engines[way.name] = _ours(backends.load(Load(spec, {KEY: folder}, "cpu", threads, quantization=way.name)))
    unpacked = folder / "unpacked"  # what the whole weights were unpacked to
    if unpacked.is_dir():
        row = catalog.get(str(unpacked))
        for name in ("int8", "int4"):
            if name in [way.name for way in quantization.ways(row, "cpu")]:
                loaded = backends.load(Load(row, {row.key: unpacked}, "cpu", threads, quantization=name))
                engines[f"{name}, transformers"] = _ours(loaded)
    if find_spec("xllamacpp"):
        engines["llama.cpp"] = _llama(folder / "model.gguf", threads)
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(REPEATS + 1):
        for name, engine in engines.items():
            speed = engine()
            if turn:  # the first one warms up
                speeds[name].append(speed)
    reference = statistics.median(speeds["llama.cpp"]) if "llama.cpp" in speeds else None
    rows = []
    for name, found in speeds.items():
        if name == "llama.cpp":
            continue
        speed = statistics.median(found)
        what, ours = f"SmolLM2 135M, {TOKENS} tokens, {name}", f"{speed:.1f} tokens/s"
        if reference is None:
            rows.append(Row(what, ours, "–", None, "–", None))
        elif name in ("auto", "int4"):
            rows.append(at_least(what, ours, f"{reference:.1f} tokens/s", speed / reference, 1.2))
        else:
            rows.append(Row(what, ours, f"{reference:.1f} tokens/s", speed / reference, "–", None))
    size = (folder / "model.gguf").stat().st_size
    bandwidth = copy_bandwidth()
    share = size * statistics.median(speeds["auto"]) / bandwidth
    other = size * reference / bandwidth if reference else None
    rows.append(
        Row(
            f"weights read a second, of {bandwidth / 1e9:.0f} GB/s that copying reaches",
            f"{share:.0%}",
            f"{other:.0%}" if other else "–",
            share / other if other else None,
            "at least 1",
            share >= other if other else None,
        )
    )
    return rows


def _ours(backend: Any) -> Callable[[], float]:
    """Asks a backend for a text that it does not end before `TOKENS` tokens."""

    def ask() -> float:
        begun, count = time.perf_counter(), 0
        tokenizer = getattr(backend, "_tokenizer", None)
        text = "".join(backend.talk(ASKED, max_tokens=TOKENS))
        passed = time.perf_counter() - begun
        encoded = tokenizer.encode(text)
        count = encoded.input_ids.shape[1] if hasattr(encoded, "input_ids") else len(encoded)
        return count / passed

    return ask


def _llama(file: Path, threads: int) -> Callable[[], float]:
    """Asks llama.cpp's server, inside this process."""
    import xllamacpp

    how = xllamacpp.CommonParams()
    how.model.path = str(file)
    how.n_ctx, how.n_parallel, how.cpuparams.n_threads, how.verbosity = 2048, 1, threads, -1
    server = xllamacpp.Server(how)
    asked = {"messages": ASKED, "max_tokens": TOKENS, "temperature": 0, "repeat_penalty": 1.1, "cache_prompt": False}

    def ask() -> float:
        begun = time.perf_counter()
        answer = server.handle_chat_completions(asked)
        return float(answer["usage"]["completion_tokens"] / (time.perf_counter() - begun))

    return ask


def copy_bandwidth() -> float:
    """Bytes a second, read and written, of the fastest of several copies on all cores."""
    source = np.ones(25_000_000)
    target = np.empty_like(source)
    parts = np.linspace(0, len(source), device.cores() + 1, dtype=int)

    def once() -> float:
        begun = time.perf_counter()
        copies = [
            threading.Thread(target=np.copyto, args=(target[start:end], source[start:end]))
            for start, end in itertools.pairwise(parts)
        ]
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        return 2 * source.nbytes / (time.perf_counter() - begun)

    return max(once() for _ in range(8))

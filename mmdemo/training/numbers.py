"""In which numbers a CPU computes a step: float32, or bfloat16 where a tried step says that it is worth it.

Weights, their gradients and the optimizer are float32 in either case: `torch.autocast` computes products in bfloat16.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmdemo.datasets.rows import Row

if TYPE_CHECKING:
    from mmdemo.training.recipes.base import Recipe

SECONDS = 0.1
"""What a step in float32 has to take before another way is tried."""
LONG = 10.0
"""A step of so many seconds is tried once only."""
WORTH = 1.2
"""How many times as fast bfloat16 has to be."""
APART = 0.02
"""How far the two losses may be from each other, as a share."""
KEPT_IN = "numbers.json"


def possible(device: str) -> bool:
    """Whether it can be chosen: the device is a CPU that multiplies in bfloat16."""
    return device == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def computed_in(precision: str) -> Iterator[None]:
    """Compute in `fp32`, which changes nothing, or in `bf16`."""
    if precision != "bf16":
        yield
        return
    with torch.autocast("cpu", torch.bfloat16), _WholeAttention():
        yield


class _WholeAttention(TorchFunctionMode):
    """Attention in float32: that of torch for a CPU takes five times as long back through bfloat16."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is not nn.functional.scaled_dot_product_attention:
            return function(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return function(*map(_whole, args), **{name: _whole(one) for name, one in kwargs.items()})


def _whole(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


def chosen(recipe: Recipe, rows: Sequence[Row], seconds: float, note: Callable[[str], None]) -> str:
    """`fp32` or `bf16`, measured once on this machine for such a run, so that the same run is the same again.

    Args:
        rows: of a step that was tried.
        seconds: what it took in float32.
    """
    options = recipe.options
    if options.precision != "auto":
        return options.precision
    if not possible(recipe.given.device) or seconds < SECONDS:
        return "fp32"
    about = (options.task, options.method, str(recipe.given.base.folder), len(rows), platform.processor(),
             torch.get_num_threads(), torch.__version__)  # fmt: skip
    name = hashlib.sha256(repr(about).encode()).hexdigest()[:16]
    file = Path(recipe.given.settings.home) / "cache" / KEPT_IN
    known = _read(file)
    if name not in known:
        known[name] = _measured(recipe, rows, seconds, note)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        partial.replace(file)
    return known[name]


def _read(file: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _measured(recipe: Recipe, rows: Sequence[Row], seconds: float, note: Callable[[str], None]) -> str:
    found: dict[str, list[tuple[float, float]]] = {"fp32": [], "bf16": []}
    for turn in range(1 if seconds > LONG else 3):
        for precision, tries in found.items():
            try:
                tries.append(_step(recipe, rows, precision))
            except RuntimeError:  # no such product in bfloat16, or no memory for it
                if precision == "fp32":
                    raise
                return "fp32"
        if turn and min(found["bf16"])[0] > 2 * min(found["fp32"])[0]:
            break
    (whole, loss), (half, other) = (min(tries) for tries in found.values())
    if whole < WORTH * half or not abs(other - loss) <= APART * abs(loss):
        return "fp32"
    note(f"It is computed in bfloat16, which is {whole / half:.1f} times as fast here.")
    return "bf16"


def _step(recipe: Recipe, rows: Sequence[Row], precision: str) -> tuple[float, float]:
    """Seconds of a pass forth and back, which changes no weight, and its loss; with the same random numbers always."""
    recipe.model.train()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            batch = recipe.batch(rows)
            began = time.monotonic()
            with computed_in(precision):
                loss = recipe.loss(recipe.model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            return time.monotonic() - began, float(loss.detach())
    finally:
        recipe.model.zero_grad(set_to_none=True)
        recipe.model.eval()

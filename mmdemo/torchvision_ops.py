"""Let `import torchvision` succeed beside a CPU build of torch.

The published torchvision wheel is compiled against CUDA. Beside a CPU-only torch its native library does not load,
so the operators it would have registered are missing and torchvision's own `register_fake("torchvision::nms")`
raises `RuntimeError: operator torchvision::nms does not exist`. That takes timm and the video processors of
transformers down with it, although they only use the pure-Python transforms.

Declaring the *schemas* of those operators is enough for the import. They stay without an implementation: calling
`torchvision.ops.nms` still fails, loudly, and nothing in this program calls it. Where the native library loads, this
module changes nothing. See `docs/decisions/0002-torchvision-beside-cpu-torch.md`.
"""

from __future__ import annotations

import importlib.util
import threading
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
)

_kept: list[Any] = []  # a torch.library.Library withdraws its schemas when it is collected
_one = threading.Lock()  # a schema cannot be declared twice, and `cache` lets two threads in


def prepare() -> bool:
    """Make `import torchvision` safe; call it before anything that imports torchvision, from any thread.

    Returns True if the schemas had to be declared, False if the real operators are there (or torchvision is absent).
    """
    with _one:
        return _prepared()


@cache
def _prepared() -> bool:
    import torch

    if importlib.util.find_spec("torchvision") is None or _native_library_loads():
        return False
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    _kept.append(library)
    return True


def _native_library_loads() -> bool:
    """Whether torchvision's compiled operators can be loaded into this torch."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for library in sorted(Path(spec.origin).parent.glob("_C*.*")):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")

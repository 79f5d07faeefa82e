"""What a folder with a `transformers` checkpoint holds, how big it gets in memory, and opening it safely.

Only safetensors and GGUF are read: a pickle can run code. Code that a checkpoint brings along runs only if its key is
named in `MMDEMO_TRUST_REMOTE_CODE`, or allowed in the page.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from mmdemo import folders, packings, torchvision_ops
from mmdemo.errors import StudioError, Unsupported, WeightsError
from mmdemo.runtime import quantization, stored
from mmdemo.runtime.backends import quantized
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate, Part

T = TypeVar("T")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def gguf_in(folder: Path) -> Path | None:
    """The GGUF file of the folder, if that is its format."""
    return next(iter(sorted(folder.glob("*.gguf"))), None)


def check_format(folder: Path, title: str) -> None:
    """Refuse a folder without safetensors or GGUF weights.

    Raises:
        WeightsError: saying which of the two is the case: no weights at all, or only pickles.
    """
    if any(folder.glob("*.safetensors")) or gguf_in(folder):
        return
    if any(file for pattern in PICKLES for file in folder.glob(pattern)):
        raise WeightsError(
            f"{title} has its weights in a pickle file, which could run any code: convert them to safetensors first."
        )
    raise WeightsError(f"{title} has no weights in {folder}: it needs a .safetensors or .gguf file there.")


def check_packing(request: Load, folder: Path) -> None:
    """Refuse 8 bits on a CPU to a family whose layers cannot be packed.

    Raises:
        Unsupported: with what there is instead.
    """
    if request.quantization != "int8" or request.device != "cpu" or folders.family_of(folder).packs:
        return
    others = ", ".join(way.name for way in quantization.ways(request.spec, "cpu") if way.name not in ("int8", "int4"))
    raise Unsupported(
        f"{request.spec.title} does not run in {request.quantization} on this device ({request.device}); "
        f"choose one of: {others}."
    )


def opened(title: str, folder: Path, action: Callable[[], T]) -> T:
    """The result of `action`, which opens files of a checkpoint; whatever is wrong with the files is one sentence.

    Raises:
        WeightsError: naming the checkpoint, the folder and what the library said.
    """
    torchvision_ops.prepare()
    try:
        return action()
    except (StudioError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        said = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise WeightsError(f"{title} in {folder} cannot be opened ({said}): remove it and fetch it again.") from error


def open_model(
    automodel: Any, request: Load, *, folder: Path | None = None, allowed_absent: tuple[str, ...] = (), **options: Any
) -> Any:
    """A model of an `Auto…` class in evaluation mode, quantized and placed as the request says.

    On CUDA `accelerate` places the layers, over several cards if there are several; with a budget it places them over
    cards, memory and disk. Weights that the checkpoint lacks would silently stay random; here they are an error.

    Args:
        folder: where the checkpoint lies, if not in the row's own folder.
        allowed_absent: beginnings of the names of weights that are not used and may be absent.
        options: further arguments of `from_pretrained`.

    Raises:
        WeightsError: for pickles, broken files, or files that do not fit the architecture.
        Unsupported: see `check_packing`.
        Cancelled: the user has stopped before the last of the weights was read.
    """
    title, device = request.spec.title, request.device
    folder = folder or request.folders[request.spec.key]
    check_format(folder, title)
    check_packing(request, folder)
    packings.check(request.spec, device)
    if packed := request.spec.packed:
        options |= quantized.packed_arguments(packed, device)  # whatever an engine computes in
    options = {**quantized.arguments(request.quantization, device), **placed(request), **options}
    quiet()

    def load() -> Any:
        return automodel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=request.trusted,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )

    with stoppable(request):
        model, report = opened(title, folder, load)
    absent = sorted(report["missing_keys"]) + sorted(str(entry[0]) for entry in report["mismatched_keys"])
    absent = [name for name in absent if not name.startswith(allowed_absent)]
    if absent:
        raise WeightsError(
            f"{title} in {folder} lacks {len(absent)} of the weights it needs ({absent[0]}, …): fetch it again."
        )
    model = quantized.finished(model, request.quantization, device)
    there = "device_map" in options or (request.spec.packed and device == "cpu")
    return model.eval() if there else model.to(device).eval()


@contextlib.contextmanager
def stoppable(request: Load) -> Iterator[None]:
    """Let the user stop while `transformers` reads weights: it is asked before each tensor.

    Between two tensors it does nothing but move its bar, for which it takes a hook; its reader of GGUF files takes
    none, but the name of the bar.
    """
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging as said

    def asking(items: Iterable[T]) -> Iterator[T]:
        for item in items:
            request.go_on()
            yield item

    def bar(factory: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return factory(*[asking(given[0]), *given[1:]] if given else given, **named)

    before, plain = said.set_tqdm_hook(bar), gguf.tqdm
    gguf.tqdm = lambda items, **named: plain(asking(items), disable=True)
    try:
        yield
    finally:
        said.set_tqdm_hook(before)
        gguf.tqdm = plain


def config_of(folder: Path, trusted: bool = False) -> Any:
    """The configuration of a checkpoint; of one that also speaks, that of its thinker, which reads and writes."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    return getattr(config, "thinker_config", None) or config


def placed(request: Load) -> dict[str, Any]:
    """Arguments of `from_pretrained` that place the layers."""
    if request.budget:
        most = {
            int(place.removeprefix("cuda:")) if place.startswith("cuda:") else place: size
            for place, size in request.budget.items()
        }
        return {"device_map": "auto", "max_memory": most}
    return {"device_map": "auto"} if request.device == "cuda" else {}


def estimate(
    request: Load, automodel: str, *, folder: Path | None = None, dtype: torch.dtype | None = None
) -> Estimate:
    """What a checkpoint of `transformers` will take, from its configuration; for engines to offer as their `estimate`.

    Args:
        dtype: what the engine loads the weights as; by default the request's quantization decides.

    Raises:
        WeightsError: the configuration cannot be read or is of an architecture that the class does not have.
        Unsupported: see `check_packing`.
    """
    place = folder or request.folders[request.spec.key]
    check_packing(request, place)
    quiet()

    packed = request.spec.packed
    if packed:
        dtype = quantized.packed_arguments(packed, request.device)["dtype"]

    def count() -> Estimate:
        from mmdemo.runtime.backends import sizing

        return sizing.estimate(place, automodel, request.device, request.quantization, dtype, request.trusted)

    found = opened(place.name, place, count)
    return found if not packed or packings.is_unpacked(packed) else as_stored(found, request, place)


def as_stored(found: Estimate, request: Load, folder: Path) -> Estimate:
    """An estimate of weights that are held as they lie in the files, by the files' headers; by their size without."""
    parts: dict[str, int] = {}
    for one in stored.weights_in({request.spec.key: folder}):
        parts[one.name] = parts.get(one.name, 0) + one.bytes
    parts = parts or {"weights": request.spec.bytes}
    return replace(found, parts=tuple(Part(name, 0, size) for name, size in parts.items()), dtype=request.spec.packed)


def quiet() -> None:
    """Keep the libraries' progress bars and warnings off the terminal: the studio reports what one can act on."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked workers would warn
    # on processors with AVX512-BF16 it misses a kernel of the Hub's at its import, which it does without
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as said

    said.disable_progress_bar()
    said.set_verbosity_error()


def use_threads(threads: int) -> None:
    """Compute with so many CPU threads from now on; 0 leaves the library's choice. torch keeps one number for all."""
    if threads:
        torch.set_num_threads(threads)


def give_back(device: str) -> None:
    """Return what a model that was let go of leaves in the device's cache."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()

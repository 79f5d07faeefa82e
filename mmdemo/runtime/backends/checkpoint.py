"""What a folder with a `transformers` checkpoint holds, how big it gets in memory, and opening it safely.

Only safetensors and GGUF are read: a pickle can run code. Code that a checkpoint brings along is never run.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from mmdemo import torchvision_ops
from mmdemo.errors import StudioError, WeightsError
from mmdemo.runtime.base import Load

T = TypeVar("T")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
ROOM = 1.15
"""Beside the weights: activations, the key-value cache of a short answer, allocator slack."""


def best_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32.

    On a CPU that is AVX512-BF16 or AMX: it halves the memory that each token has to read. Without them a CPU emulates
    bfloat16, which is slower than float32.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


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
    automodel: Any, folder: Path, title: str, device: str, *, allowed_absent: tuple[str, ...] = (), **options: Any
) -> Any:
    """A model of an `Auto…` class in evaluation mode, placed on `device`.

    On CUDA `accelerate` places the layers, over several cards if there are several. Weights that the checkpoint
    lacks would silently stay random; here they are an error.

    Args:
        allowed_absent: beginnings of the names of weights that are not used and may be absent.
        options: further arguments of `from_pretrained`.

    Raises:
        WeightsError: for pickles, broken files, or files that do not fit the architecture.
    """
    check_format(folder, title)
    options.setdefault("dtype", best_dtype(device))
    quiet()

    def load() -> Any:
        return automodel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            device_map="auto" if device == "cuda" else None,
            output_loading_info=True,
            **options,
        )

    model, report = opened(title, folder, load)
    absent = sorted(report["missing_keys"]) + sorted(str(entry[0]) for entry in report["mismatched_keys"])
    absent = [name for name in absent if not name.startswith(allowed_absent)]
    if absent:
        raise WeightsError(
            f"{title} in {folder} lacks {len(absent)} of the weights it needs ({absent[0]}, …): fetch it again."
        )
    return model.eval() if device == "cuda" else model.to(device).eval()


def estimate(folder: Path, automodel: str, dtype: torch.dtype) -> int:
    """Bytes that the model of a safetensors folder will take with its weights as `dtype`, from `config.json` alone.

    The model is built without memory for its weights (`accelerate.init_empty_weights`) and counted.

    Args:
        automodel: name of the `Auto…` class of `transformers` that will load it.

    Raises:
        WeightsError: if the configuration cannot be read or is of an architecture that the class does not have.
    """

    def count() -> int:
        import transformers
        from accelerate import init_empty_weights

        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        auto = getattr(transformers, automodel)
        if type(config) not in auto._model_mapping:
            raise WeightsError(
                f"The checkpoint in {folder} is a {config.model_type!r} model, which cannot be used for this: "
                "choose another model."
            )
        with init_empty_weights():
            model = auto.from_config(config)
        model.tie_weights()
        return sum(parameter.numel() for parameter in model.parameters())

    parameters = opened(folder.name, folder, count)
    return int(parameters * dtype.itemsize * ROOM)


def size_in_memory(request: Load, automodel: str, dtype: torch.dtype | None = None) -> int:
    """Bytes a checkpoint of `transformers` will take, for engines to offer as their `size`.

    Args:
        dtype: what the engine loads the weights as; by default `best_dtype` of the device.
    """
    folder = request.folders[request.spec.key]
    check_format(folder, request.spec.title)
    return estimate(folder, automodel, dtype or best_dtype(request.device))


def quiet() -> None:
    """Keep the libraries' progress bars off the terminal: the studio reports progress itself."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked workers would warn
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


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

"""What a `transformers` checkpoint will take in memory, from its configuration alone.

The model is built without memory for its weights (`accelerate.init_empty_weights`) and counted; then it reads a
conversation of tensors that have shapes and no content (torch's meta device), while what lives at the same time is
added up. Nothing of the weights' size is allocated.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmdemo.errors import WeightsError
from mmdemo.runtime.backends import checkpoint, quantized
from mmdemo.runtime.estimates import Estimate, Part

TOKENS = 1024
"""Tokens of the conversation that is counted on: a picture and a short answer."""
SECONDS = 30
"""Seconds of the clip that is counted on, where a model hears and keeps no cache."""
BLOCK = 64
"""4-bit weights share a scale between so many; the scales are 8-bit themselves, one float32 for 256 of them."""


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of the tensors that are made while it is active and live at the same time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count what it made."""
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given and storage._cdata not in self._known:
                    self._take(storage)
        return out

    def _take(self, storage: Any) -> None:
        size, place = storage.nbytes(), storage._cdata
        self._known.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size


class Fused(TorchFunctionMode):
    """Attention as the devices compute it, block by block; without content torch would write out all its scores."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function; attention gives its output alone, (…, queries, width of the values)."""
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value = args[:3]
            return query.new_empty((*query.shape[:-1], value.shape[-1]))
        return func(*args, **(kwargs or {}))


def estimate(
    folder: Path,
    automodel: str,
    device: str,
    quantization: str = "auto",
    dtype: torch.dtype | None = None,
    trusted: bool = False,
) -> Estimate:
    """What the checkpoint of a folder with a `config.json` will take.

    Args:
        automodel: name of the `Auto…` class of `transformers` that will load it, or of the class of one architecture.
        dtype: what the weights that stay whole are held as; by default the quantization decides.
        trusted: whether code that the checkpoint brings may run.

    Raises:
        WeightsError: the configuration cannot be read or is of an architecture that the class does not have.
    """
    import transformers
    from accelerate import init_empty_weights

    auto = getattr(transformers, automodel)
    alone = getattr(auto, "config_class", None)
    config = alone.from_pretrained(folder, local_files_only=True) if alone else checkpoint.config_of(folder, trusted)
    own = trusted and automodel in (getattr(config, "auto_map", None) or {})
    if alone is None and type(config) not in auto._model_mapping and not own:
        raise WeightsError(
            f"The checkpoint in {folder} is a {config.model_type!r} model, which cannot be used for this: "
            "choose another model."
        )
    dtype = dtype or quantized.dtype_of(quantization, device)
    with init_empty_weights(include_buffers=True):
        made = auto._from_config if alone else partial(auto.from_config, trust_remote_code=trusted)
        model = made(config, dtype=dtype)
    model.tie_weights()
    model.eval()
    cache, activations = conversation(model, TOKENS)
    return Estimate(
        tuple(parts(model, dtype, quantization, device)),
        cache,
        activations,
        tokens=TOKENS,
        dtype=quantization if quantization in ("int8", "int4") else str(dtype).removeprefix("torch."),
    )


def parts(model: Any, dtype: torch.dtype, quantization: str, device: str) -> Iterator[Part]:
    """The top modules with what their weights take; a weight that two of them share counts for the first.

    An embedding and an output layer that share one keep it whole and in 8 bits, where a CPU packs it.
    """
    seen: set[tuple[int, bool]] = set()
    packed = quantization in ("int8", "int4")
    apart = quantization == "int8" and device == "cpu"
    for name, module in tops(model):
        count = size = 0
        for owner in module.modules():
            for key, tensor in (*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)):
                linear = packed and key == "weight" and type(owner) is torch.nn.Linear
                if (id(tensor), linear and apart) in seen:
                    continue
                count += 0 if (id(tensor), not linear) in seen else tensor.numel()
                seen.add((id(tensor), linear and apart))
                if linear:
                    size += packed_bytes(tensor, quantization)
                else:  # buffers keep the type that they are made in
                    cast = tensor.is_floating_point() and isinstance(tensor, torch.nn.Parameter)
                    size += tensor.numel() * (dtype.itemsize if cast else tensor.itemsize)
        if size:
            yield Part(name, count, size)


def tops(model: Any) -> Iterable[tuple[str, Any]]:
    """The modules to name: the children of the model, and of its body in their place."""
    for name, child in model.named_children():
        inner = list(child.named_children())
        if name == "model" and inner:
            yield from ((f"{name}.{key}", module) for key, module in inner)
        else:
            yield name, child


def packed_bytes(weight: torch.Tensor, quantization: str) -> int:
    """Bytes of a linear layer's weight, (rows, columns), in 8 or 4 bits with its scales."""
    if quantization == "int8":
        return weight.numel() + 2 * weight.shape[0]
    return int(weight.numel() * (0.5 + 1 / BLOCK + 4 / (BLOCK * 256)))


def conversation(model: Any, tokens: int) -> tuple[int, int]:
    """Bytes of the key-value cache, and the most that lives besides it, when `tokens` tokens are read by one row.

    What a model does with a picture or a sound is not counted: it is read before the text, and takes less than the
    logits and hidden states of a long text in the families here. A model that cannot be run without content (it looks
    at its input to decide what to do) is counted by the sizes in its configuration.
    """
    config = model.config.get_text_config()
    if getattr(model.config, "is_encoder_decoder", False):
        return by_sizes(config, tokens, model.dtype)
    if model.main_input_name == "input_values":  # a listener that names a letter for each frame
        return 0, heard(model)
    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    try:
        with torch.no_grad(), Live() as live, Fused():
            out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    except Exception:  # noqa: BLE001  # any architecture may refuse in its own way
        cache, activations = by_sizes(config, tokens, model.dtype)
        return cache if model.can_generate() else 0, activations
    kept = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in cached(out.past_key_values)}
    size = sum(kept.values())
    return size, max(0, live.peak - size)


def heard(model: Any) -> int:
    """The most bytes that live at once while a listener without a cache hears a clip of the longest length."""
    samples = torch.zeros(1, SECONDS * 16_000, dtype=model.dtype, device="meta")
    try:
        with torch.no_grad(), Live() as live, Fused():
            model(samples)
    except Exception:  # noqa: BLE001  # any architecture may refuse in its own way
        return by_sizes(model.config, SECONDS * 50, model.dtype)[1]  # frames of 20 ms
    return int(live.peak)


def cached(cache: Any) -> Iterator[torch.Tensor]:
    """The tensors of a key-value cache."""
    for layer in getattr(cache, "layers", ()) or ():
        for tensor in vars(layer).values():
            if isinstance(tensor, torch.Tensor):
                yield tensor


def by_sizes(config: Any, tokens: int, dtype: torch.dtype) -> tuple[int, int]:
    """Cache and activations by the usual sizes: two vectors a layer and key-value head for each token; the widest layer
    of the feed-forward network three times, the hidden states six times, and the logits of one position."""
    heads = getattr(config, "num_attention_heads", 1)
    hidden = getattr(config, "hidden_size", 0)
    width = getattr(config, "head_dim", None) or hidden // max(1, heads)
    keys = getattr(config, "num_key_value_heads", None) or heads
    layers = getattr(config, "num_hidden_layers", 1)
    wide = getattr(config, "intermediate_size", None) or 4 * hidden
    size = dtype.itemsize
    return 2 * layers * keys * width * tokens * size, (3 * wide + 6 * hidden) * tokens * size + 4 * getattr(
        config, "vocab_size", 0
    )

"""A fusion model as OpenVINO graphs: what runs on a CPU without torch.

Two graphs, traced from the model's own modules:

- `prefill`: pixel_values (batch, 3, size, size) → class logits (batch, classes), logits of the first word
  (batch, vocabulary), and keys and values, (batch, heads, positions, head size): for each layer those of its own
  sequence, which grow; with cross-attention then for each layer those of the picture, which stay.
- `step`: input_ids (batch, 1) and all those keys and values → logits (batch, vocabulary) and the ones that grow.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

from mmdemo import private_openvino
from mmdemo.errors import Unsupported
from mmdemo.fusion.model import FusionModel


class _Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, without the empty tensor the original starts from, which cannot be traced."""

    keys: Tensor
    values: Tensor
    is_initialized: bool

    def update(self, keys: Tensor, values: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.is_initialized:
            keys, values = torch.cat([self.keys, keys], dim=-2), torch.cat([self.values, values], dim=-2)
        self.keys, self.values, self.is_initialized = keys, values, True
        self.dtype, self.device = keys.dtype, keys.device
        return keys, values


def _cache(layers: int, past: tuple[Tensor, ...] = ()) -> Cache:
    cache = Cache(layers=[_Layer() for _ in range(layers)])
    for layer in range(len(past) // 2):
        cache.update(past[2 * layer], past[2 * layer + 1], layer)
    return cache


def _both(model: FusionModel, past: tuple[Tensor, ...] = ()) -> Cache:
    """The cache that the model's language model wants, with `past` in it."""
    layers = model.config.text_config.num_hidden_layers
    own = _cache(layers, past[: 2 * layers])
    if not model.fusion.crosses:
        return own
    both = EncoderDecoderCache(own, _cache(layers, past[2 * layers :]))
    both.is_updated = dict.fromkeys(range(layers), len(past) > 2 * layers)
    return both


def _flat(cache: Cache) -> tuple[Tensor, ...]:
    return tuple(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))


class Prefill(nn.Module):
    """The picture and the begin token, read once."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """See the module's docstring."""
        features, classes = self.model.vision(pixel_values)
        return classes, *self.read(features)

    def read(self, features: Tensor) -> tuple[Tensor, ...]:
        """The same from the encoder's features, without the class logits."""
        begin = torch.full_like(features[:, 0, :1], self.model.config.text_config.bos_token_id)
        given = self.model.fused(begin.long(), features=features)
        length = self.model.prefix_length(features) + 1
        mask = torch.full((length, length), torch.finfo(torch.float32).min, device=features.device).triu(1)
        cache = _both(self.model)
        output = self.model.language_model(
            **given,
            **_seen_whole(given),
            attention_mask=mask[None, None].expand(features.shape[0], -1, -1, -1),
            position_ids=torch.arange(length, device=features.device)[None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        if isinstance(cache, EncoderDecoderCache):
            past = _flat(cache.self_attention_cache) + _flat(cache.cross_attention_cache)
        else:
            past = _flat(cache)
        return output.logits[:, -1], *past


class Step(nn.Module):
    """One more word."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """See the module's docstring."""
        cache = _both(self.model, past)
        seen = past[0].shape[2]
        given = {"inputs_embeds": self.model.get_input_embeddings()(input_ids)}
        if isinstance(cache, EncoderDecoderCache):
            # The picture's keys and values are in the cache; only the shape of this is looked at.
            given["encoder_hidden_states"] = past[-1].transpose(1, 2).flatten(2)
        output = self.model.language_model(
            **given,
            **_seen_whole(given),
            attention_mask=torch.zeros_like(past[0][:, :1, :1, :1]).expand(-1, -1, -1, seen + 1),
            position_ids=torch.ones_like(input_ids[:1]) * seen,
            past_key_values=cache,
            use_cache=True,
        )
        own = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
        return output.logits[:, -1], *_flat(own)


def _seen_whole(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """With cross-attention, a mask that hides nothing of the picture: made here, it is not made by untraceable code."""
    if "encoder_hidden_states" not in given:
        return {}
    beside = given["encoder_hidden_states"]
    return {"encoder_attention_mask": torch.zeros_like(beside[:, None, None, :, 0])}


def export(model: FusionModel, folder: Path) -> None:
    """Write `prefill.xml` and `step.xml` and their weights into `folder`, which appears only when complete.

    Raises:
        Unsupported: the chain is another than timm pictures, without gates, into a GPT-2.
    """
    config = model.config
    plain = config.modalities == ("vision",) and config.vision_config.model_type == "fusion_vision"
    if not plain or config.frames > 1 or model.fusion.gates or config.text_config.model_type != "gpt2":
        raise Unsupported(
            "Only a chain that reads one picture with an encoder of timm and writes with a GPT-2 runs without torch: "
            "run this one with torch."
        )
    openvino = private_openvino.load()
    model = model.float().eval()
    text, vision = model.config.text_config, model.config.vision_config
    staging = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    staging.mkdir(parents=True, exist_ok=True)
    picture = torch.zeros(2, 3, vision.image_size, vision.image_size)
    with torch.inference_mode():
        past = Prefill(model)(picture)[2:]
        graphs = {
            "prefill": graph_of(Prefill(model), picture),
            "step": graph_of(Step(model), (torch.ones(2, 1, dtype=torch.long), *past)),
        }
    heads = text.num_attention_heads
    graphs["prefill"].reshape([-1, 3, vision.image_size, vision.image_size])
    step = graphs["step"]
    shapes = {step.inputs[0]: [-1, 1]}
    shapes |= {port: [-1, heads, -1, text.hidden_size // heads] for port in step.inputs[1:]}
    step.reshape(shapes)
    for name, graph in graphs.items():
        openvino.save_model(graph, staging / f"{name}.xml", compress_to_fp16=False)
    try:
        staging.rename(folder)
    except OSError:  # somebody else was faster; theirs is the same
        shutil.rmtree(staging)
        if not (folder / "step.xml").exists():
            raise


def graph_of(module: nn.Module, example: Any, **options: Any) -> Any:
    """`module` as an OpenVINO graph, traced with `example`; `options` as for `openvino.convert_model`."""
    openvino = private_openvino.load()
    from transformers.utils import logging

    before = logging.get_verbosity()
    with warnings.catch_warnings():
        # OpenVINO traces with torch.jit, which is deprecated, and every shape that Python reads is worth a warning.
        warnings.simplefilter("ignore")
        logging.set_verbosity_error()  # torch.jit reads every property, also the loss, which a graph does not need
        try:
            return openvino.convert_model(module, example_input=example, **options)
        finally:
            logging.set_verbosity(before)

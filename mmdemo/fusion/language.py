"""The language model of the chain: any causal one of `transformers`, or the small LSTM."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

import mmdemo.fusion.lstm  # noqa: F401  # registers it
from mmdemo.fusion.config import FusionConfig

# isort: split
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING


def build(config: FusionConfig, crosses: bool) -> Any:
    """The language model of a fusion model, with fresh weights; with layers of cross-attention if it `crosses`."""
    if crosses and hasattr(config.text_config, "add_cross_attention"):
        config.text_config.add_cross_attention = True
    return AutoModelForCausalLM.from_config(config.text_config)


def is_causal(config: Any) -> bool:
    """Whether `transformers` has a causal language model of this configuration."""
    return type(config) in MODEL_FOR_CAUSAL_LM_MAPPING


def can_cross(config: Any) -> bool:
    """Whether that model can attend to something beside its own sequence."""
    if not is_causal(config):
        return False
    model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return "encoder_hidden_states" in inspect.signature(model.forward).parameters


def layers_of(model: nn.Module, count: int) -> list[nn.Module]:
    """The decoder's layers, wherever a model keeps them: its first list of so many modules; none if it has no such."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == count)
    return list(next(lists, ()))

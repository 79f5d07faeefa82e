"""The configuration of a fusion model: which encoder, which projector, which fusion, which language model."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from mmdemo import torchvision_ops

torchvision_ops.prepare()  # transformers imports torchvision as soon as a model class is named

from transformers import AutoConfig, PreTrainedConfig  # noqa: E402
from transformers.configuration_utils import SubConfigSpec  # noqa: E402


@strict
class FusionVisionConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers ships no types for its configs
    """A convolutional image encoder from timm, and what its pictures must look like."""

    model_type = "fusion_vision"

    architecture: str = "tf_efficientnet_lite2"
    hidden_size: int = 1280
    num_classes: int = 1000
    image_size: int = 260
    grid_size: int = 9
    image_mean: list[float] | tuple[float, ...] = (0.498, 0.498, 0.498)
    image_std: list[float] | tuple[float, ...] = (0.502, 0.502, 0.502)


@strict
class FusionConfig(PreTrainedConfig):  # type: ignore[misc]
    """The chain: `vision_config` → `projector` → `fusion` → `text_config` (any causal language model).

    Args:
        projector: how features enter the language model's space, `linear` or `mlp`.
        fusion: how modalities are joined; `concat` puts the modal tokens before the text tokens, `cross-attention`
            lets every layer attend to them (the language model must have such layers, as GPT-2 does).
        feature_dropout: share of feature channels dropped while training.
    """

    model_type = "mmdemo_fusion"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "vision_config": SubConfigSpec(config_class=FusionVisionConfig),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="gpt2"),
    }

    vision_config: Any = None
    text_config: Any = None
    projector: str = "mlp"
    fusion: str = "concat"
    feature_dropout: float = 0.1
    tie_word_embeddings: bool = True

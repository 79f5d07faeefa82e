"""The configuration of a fusion model: which encoders, which projector, which fusion, which language model."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from mmdemo import torchvision_ops

torchvision_ops.prepare()  # transformers imports torchvision as soon as a model class is named

from transformers import AutoConfig, PreTrainedConfig  # noqa: E402
from transformers.configuration_utils import SubConfigSpec  # noqa: E402

MODALITIES = ("vision", "audio", "text")
"""What can be encoded, in the order in which the language model gets it."""


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
class FusionPatchesConfig(PreTrainedConfig):  # type: ignore[misc]
    """A fresh encoder of pictures or spectrograms, small enough to be learned with the rest: patches and their places.

    Args:
        channels, height, width: of what is read: 3 for a picture; 1 for a spectrogram, (mel bands, frames).
        patch_height, patch_width: of a patch; they divide the height and width.
    """

    model_type = "fusion_patches"

    channels: int = 3
    height: int = 64
    width: int = 64
    patch_height: int = 16
    patch_width: int = 16
    hidden_size: int = 128
    image_mean: list[float] | tuple[float, ...] = (0.5, 0.5, 0.5)
    image_std: list[float] | tuple[float, ...] = (0.5, 0.5, 0.5)


@strict
class FusionLstmConfig(PreTrainedConfig):  # type: ignore[misc]
    """A small recurrent decoder: embedding, LSTM layers, output layer.

    Args:
        embedding_scale: what embeddings are multiplied by before the first layer, so that words are heard beside modal
            tokens, whose channels a LayerNorm has brought to deviation 1.
        residual: each layer but the first adds to what it reads (arXiv:1609.08144, section 3.1), so that several learn
            as fast as one.
    """

    model_type = "fusion_lstm"

    vocab_size: int = 3000
    hidden_size: int = 384
    num_hidden_layers: int = 1
    dropout: float = 0.1
    initializer_range: float = 0.1
    embedding_scale: float = 1.0
    residual: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = 0
    tie_word_embeddings: bool = True


@strict
class FusionConfig(PreTrainedConfig):  # type: ignore[misc]
    """The chain: encoders → a projector for each → `fusion` → `text_config` (any causal language model).

    Args:
        vision_config: `fusion_vision`, `fusion_patches`, or the configuration of any vision tower; None for none.
        audio_config: `fusion_patches` over a spectrogram, or the configuration of any speech encoder; None for none.
        text_encoder_config: the configuration of any text encoder, for text that is not the question; None for none.
        text_config: the language model: `fusion_lstm`, or the configuration of any causal language model.
        frames: how many pictures are given as one sequence; each then has the position of its time.
        audio_pool: so many positions of the audio encoder in a row become one, their mean: a Whisper encoder gives
            1,500 for every recording.
        projector: how features enter the language model's space, `linear` or `mlp`.
        fusion: how modalities are joined. `concat` puts the modal tokens before the text tokens; `attention` does so
            with `queries` learned queries that have attended to them; `cross-attention` lets every layer attend to
            them (the language model must have such layers, as GPT-2 does); `gated-cross-attention` adds such layers,
            closed at first, before every `gate_every`-th layer of any language model.
        fusion_layers: layers of the learned queries.
        fusion_heads: heads of the learned queries and of the gated layers.
        gate_start: where the gates α and β begin: at 0 they are closed, so that a language model that can write already
            is itself at first; one that knows nothing would learn to do without what is behind them.
        feature_dropout: share of feature channels dropped while training.
        modality_dropout: how often a modality is left out of a row while training, where another remains, so that
            the model can do without.
        encoders: for each modality the fingerprint of the encoder that its features must come from, where it is known.
        parts: for each modality, and for `language`, what it was composed of: a key, a folder, or a word for what is
            learned from nothing.
        tuning: how its language model is to be learned: `lora`, `full` or `head`; empty where nothing was said.
        fresh: it was composed and not trained yet.
    """

    model_type = "mmdemo_fusion"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="fusion_vision", optional=True),
        "audio_config": SubConfigSpec(config_class=AutoConfig, model_type="fusion_patches", optional=True),
        "text_encoder_config": SubConfigSpec(config_class=AutoConfig, model_type="bert", optional=True),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="gpt2"),
    }

    vision_config: Any = None
    audio_config: Any = None
    text_encoder_config: Any = None
    text_config: Any = None
    frames: int = 1
    audio_pool: int = 1
    projector: str = "mlp"
    fusion: str = "concat"
    queries: int = 16
    fusion_layers: int = 2
    fusion_heads: int = 4
    gate_every: int = 1
    gate_start: float = 0.0
    feature_dropout: float = 0.1
    modality_dropout: float = 0.0
    encoders: dict[str, str] | None = None
    parts: dict[str, str] | None = None
    tuning: str = ""
    fresh: bool = False
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        """Of an encoder of several parts (CLIP, SigLIP), take the configuration of the vision tower."""
        super().__post_init__(**kwargs)
        self.vision_config = getattr(self.vision_config, "vision_config", self.vision_config)

    def encoder(self, modality: str) -> Any:
        """The configuration of the encoder of one of `MODALITIES`, or None."""
        return getattr(self, ENCODER_FIELDS[modality])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that have an encoder, in order."""
        return tuple(modality for modality in MODALITIES if self.encoder(modality) is not None)


@strict
class SiameseConfig(PreTrainedConfig):  # type: ignore[misc]
    """Two towers: an encoder of pictures or sound, an encoder of text, and a space for both.

    Args:
        media_config, text_config: configurations of the encoders, as in `FusionConfig`.
        size: of the common space.
        projector: `linear` or `mlp`.
        loss: `info-nce` or `siglip`.
        encoders: of `media` and `text` the fingerprint of the encoder that the projectors belong to, where the
            checkpoint has no encoders of its own.
        fresh: it was composed and not trained yet.
    """

    model_type = "mmdemo_siamese"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "media_config": SubConfigSpec(config_class=AutoConfig, model_type="fusion_vision"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
    }

    media_config: Any = None
    text_config: Any = None
    size: int = 256
    projector: str = "linear"
    loss: str = "info-nce"
    encoders: dict[str, str] | None = None
    fresh: bool = False


@strict
class ClassesConfig(PreTrainedConfig):  # type: ignore[misc]
    """A classifier of a text, or of its words, that sees the picture beside it.

    Args:
        vision_config: `fusion_vision`; text_config: of any encoder of text.
        looks: the picture is seen at so many places in each direction.
        heads: of the attention from words to places.
        dropout: before the classes.
        modality_dropout: how often a row's picture is left out while training, so that the model can do without.
    """

    model_type = "mmdemo_classes"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="fusion_vision"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
    }

    vision_config: Any = None
    text_config: Any = None
    looks: int = 3
    heads: int = 4
    dropout: float = 0.1
    modality_dropout: float = 0.1

    @property
    def max_position_embeddings(self) -> int:
        """Tokens of a text at most."""
        return int(getattr(self.text_config, "max_position_embeddings", 512))


ENCODER_FIELDS = {"vision": "vision_config", "audio": "audio_config", "text": "text_encoder_config"}
"""Which field of `FusionConfig` is whose encoder."""


def width(config: Any) -> int:
    """Channels of what an encoder or language model puts out."""
    sizes = getattr(config, "hidden_sizes", None)  # of a network in stages, as ResNet
    return int(sizes[-1] if sizes else config.hidden_size)


for _kind in (FusionVisionConfig, FusionPatchesConfig, FusionLstmConfig, FusionConfig, SiameseConfig, ClassesConfig):
    AutoConfig.register(_kind.model_type, _kind)

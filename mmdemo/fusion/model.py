"""The fusion model: pictures in, words out. A `transformers` model like any other."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mmdemo.errors import UnknownName
from mmdemo.fusion.align import PROJECTORS
from mmdemo.fusion.config import FusionConfig, FusionVisionConfig
from mmdemo.fusion.encoders import VisionEncoder
from mmdemo.fusion.fuse import FUSIONS

# isort: split
# After the config module, which makes torchvision importable; transformers imports it as soon as a model is named.
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

T = TypeVar("T")


def _named(what: str, registry: Mapping[str, T], name: str) -> T:
    if name not in registry:
        raise UnknownName(what, name, registry)
    return registry[name]


class FusionModel(PreTrainedModel):  # type: ignore[misc]
    """encoder → projector → fusion → causal language model.

    Every method takes either `pixel_values` (batch, 3, height, width) or `features` (batch, positions, channels), the
    output of the frozen encoder, so that a picture is encoded once however often it is used.
    """

    config_class = FusionConfig
    base_model_prefix = "fusion"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _tied_weights_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        self.vision = VisionEncoder(config.vision_config)
        self.dropout = nn.Dropout(config.feature_dropout)
        self.projector = _named("projector", PROJECTORS, config.projector)(
            config.vision_config.hidden_size, config.text_config.hidden_size
        )
        # After the projector, not before: how strongly a place of the picture fires says whether something is there.
        self.norm = nn.LayerNorm(config.text_config.hidden_size)
        if config.fusion == "cross-attention":
            config.text_config.add_cross_attention = True
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.fuse = _named("fusion", FUSIONS, config.fusion)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embeddings."""
        return self.language_model.get_input_embeddings()  # type: ignore[no-any-return]

    def get_output_embeddings(self) -> nn.Module:
        """The language model's output layer, tied to the embeddings where its config says so."""
        return self.language_model.get_output_embeddings()  # type: ignore[no-any-return]

    def modal_tokens(self, pixel_values: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """(batch, positions, hidden): the picture as the language model sees it."""
        if features is None:
            if pixel_values is None:
                raise ValueError("Give pixel_values or features.")
            features, _ = self.vision(pixel_values)
        if self.training:  # whole channels: one mask for all positions of a picture
            features = features * self.dropout(features.new_ones(len(features), 1, features.shape[-1]))
        return self.norm(self.projector(features))  # type: ignore[no-any-return]

    def prefix_length(self, features: Tensor) -> int:
        """How many positions of the language model's sequence the modal tokens of `features` take."""
        return features.shape[1] if self.config.fusion == "concat" else 0

    def fused(
        self, input_ids: Tensor, pixel_values: Tensor | None = None, features: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the language model is given: `inputs_embeds`, (batch, prefix + length, hidden), and with
        cross-attention `encoder_hidden_states`, (batch, positions, hidden)."""
        modal = self.modal_tokens(pixel_values, features)
        text = self.get_input_embeddings()(input_ids)
        sequence, beside = self.fuse(modal, text.to(modal.dtype))
        return {"inputs_embeds": sequence} | ({} if beside is None else {"encoder_hidden_states": beside})

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits over the text positions and, with `labels`, their cross-entropy.

        Args:
            input_ids: (batch, length).
            attention_mask: (batch, length) over the text, or a mask over the fused sequence, (batch, 1, n, n).
            position_ids: (batch, n) over the fused sequence; by default 0, 1, 2, …
            labels: (batch, length), the token to predict *at* each position (already shifted), −100 to ignore.

        Returns:
            logits (batch, length, vocabulary); loss, the mean over the labels that count.
        """
        given = self.fused(input_ids, pixel_values, features)
        length = input_ids.shape[1]
        prefix = given["inputs_embeds"].shape[1] - length
        if attention_mask is not None and attention_mask.ndim == 2:
            attention_mask = nn.functional.pad(attention_mask, (prefix, 0), value=1)
        # `logits_to_keep` skips the output layer for the modal positions, whose logits nobody reads.
        output = self.language_model(
            **given,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            logits_to_keep=length,
        )
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(output.logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)
        return CausalLMOutputWithPast(loss=loss, logits=output.logits)

    @torch.inference_mode()
    def generate(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token ids of the answer, (batch, new length), or what the language model's `generate` returns.

        Args:
            input_ids: (batch, length), the text to go on from; by default the begin token.
            kwargs: as for `transformers` `generate` (num_beams, max_new_tokens, streamer, …).
        """
        source = features if features is not None else pixel_values
        if source is None:
            raise ValueError("Give pixel_values or features.")
        if input_ids is None:
            begin = self.config.text_config.bos_token_id
            input_ids = torch.full((len(source), 1), begin, dtype=torch.long, device=source.device)
        given = self.fused(input_ids, pixel_values, features)
        embeds = given["inputs_embeds"]
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
        with warnings.catch_warnings():  # the prompt is a picture: it has no tokens that could come again
            warnings.filterwarnings("ignore", "Passing `no_repeat_ngram_size` with `inputs_embeds`")
            return self.language_model.generate(**given, attention_mask=mask, **kwargs)


AutoConfig.register("fusion_vision", FusionVisionConfig)
AutoConfig.register("mmdemo_fusion", FusionConfig)
AutoModelForImageTextToText.register(FusionConfig, FusionModel)

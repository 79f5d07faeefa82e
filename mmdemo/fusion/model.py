"""The fusion model: pictures, sound and text in, words out. A `transformers` model like any other."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mmdemo.errors import UnknownName
from mmdemo.fusion import encoders, language
from mmdemo.fusion.align import PROJECTORS
from mmdemo.fusion.attention import Gates, Resampler
from mmdemo.fusion.config import MODALITIES, FusionConfig, width
from mmdemo.fusion.fuse import FUSIONS
from mmdemo.fusion.times import left_out, pooled, timed

# isort: split
# After the config module, which makes torchvision importable; transformers imports it as soon as a model is named.
from transformers import AutoModelForImageTextToText, PreTrainedModel
from transformers.conversion_mapping import WeightRenaming, register_checkpoint_conversion_mapping
from transformers.modeling_outputs import CausalLMOutputWithPast

T = TypeVar("T")
Features = Tensor | Mapping[str, Tensor]
IN_FILES = {"projector.": "vision_projector.", "norm.": "vision_norm."}
"""What is called otherwise in files, which were there before there was more than one encoder."""


def _named(what: str, registry: Mapping[str, T], name: str) -> T:
    if name not in registry:
        raise UnknownName(what, name, registry)
    return registry[name]


class FusionModel(PreTrainedModel):  # type: ignore[misc]
    """encoders → projectors → fusion → causal language model.

    What a modality gives is either what its encoder reads, or its features, so that a file is encoded once however
    often it is used:

    - `pixel_values`, (batch, 3, height, width), or several frames, (batch, frames, 3, height, width);
    - `audio_values`, (batch, mel bands, frames) or (batch, samples), as the audio encoder reads them;
    - `context_ids`, (batch, length), with `context_mask`, 1 where there is a token: text for the text encoder;
    - `features`: by modality (`vision`, `audio`, `text`), or those of the pictures alone: (batch, positions, channels),
      for several frames (batch, frames, positions, channels);
    - `masks`: by modality, False where a row has none of it, (batch,), or nothing at a position, (batch, positions).

    A modality that has an encoder may be left out of a call. With Vˣ, (batch, n, hidden), the modal tokens of all
    modalities one after the other, and Vᵗ, (batch, m, hidden), the embedded text, the language model reads
    V = [Vˣ; Vᵗ] (`concat`, `attention`) or Vᵗ while it attends to Vˣ (`cross-attention`, `gated-cross-attention`).
    """

    config_class = FusionConfig
    base_model_prefix = "fusion"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _tied_weights_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        project = _named("projector", PROJECTORS, config.projector)
        self.fusion = _named("fusion", FUSIONS, config.fusion)
        hidden = config.text_config.hidden_size
        for modality in config.modalities:
            about = config.encoder(modality)
            self.add_module(modality, encoders.build(about))
            self.add_module(f"{modality}_projector", project(width(about), hidden))
            # After the projector, not before: how strongly a place of a picture fires says whether something is there.
            self.add_module(f"{modality}_norm", nn.LayerNorm(hidden))
        self.dropout = nn.Dropout(config.feature_dropout)
        if self.fusion.resamples:
            self.resampler = Resampler(config.queries, hidden, config.fusion_heads, config.fusion_layers)
        self.language_model = language.build(config, self.fusion.crosses)
        if self.fusion.gates:
            layers = language.layers_of(self.language_model, config.text_config.num_hidden_layers)
            self.gates = Gates(layers, hidden, config.fusion_heads, config.gate_every, config.gate_start)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        encoders.initialize(module)

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embeddings."""
        return self.language_model.get_input_embeddings()  # type: ignore[no-any-return]

    def get_output_embeddings(self) -> nn.Module:
        """The language model's output layer, tied to the embeddings where its config says so."""
        return self.language_model.get_output_embeddings()  # type: ignore[no-any-return]

    def encoded(self, modality: str, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features of what an encoder reads, (batch, positions, channels); of several frames each its own,
        (batch, frames, positions, channels)."""
        encoder = getattr(self, modality)
        if modality == "vision" and values.ndim == 5:
            return encoder.read(values.flatten(0, 1)).unflatten(0, values.shape[:2])  # type: ignore[no-any-return]
        return encoder.read(values, mask)  # type: ignore[no-any-return]

    def modal(
        self,
        pixel_values: Tensor | None = None,
        features: Features | None = None,
        audio_values: Tensor | None = None,
        context_ids: Tensor | None = None,
        context_mask: Tensor | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Vˣ, (batch, n, hidden), and where something is there, (batch, n), or None for everywhere."""
        known = {"vision": features} if isinstance(features, Tensor) else dict(features or {})
        masks = dict(masks or {})
        if context_mask is not None:
            masks.setdefault("text", context_mask.bool())
        for modality, values in zip(MODALITIES, (pixel_values, audio_values, context_ids), strict=True):
            if values is not None and modality not in known:
                known[modality] = self.encoded(modality, values, context_mask)
        for modality in known:
            _named("encoder in this model for", dict.fromkeys(self.config.modalities), modality)
        if not known:
            raise ValueError("Give pixel_values or features, or what another encoder reads: audio_values, context_ids.")
        tokens = {modality: self._aligned(modality, known[modality]) for modality in MODALITIES if modality in known}
        if self.training and self.config.modality_dropout and len(tokens) > 1:
            masks = left_out(tokens, masks, self.config.modality_dropout)
        joined = torch.cat(list(tokens.values()), dim=1)
        if not masks:
            return joined, None
        present = [self._present(masks.get(modality), found) for modality, found in tokens.items()]
        mask = torch.cat(present, dim=1)
        return joined * mask[..., None].to(joined.dtype), mask

    def _aligned(self, modality: str, features: Tensor) -> Tensor:
        """(batch, [frames,] positions, channels) → (batch, n, hidden)."""
        if modality == "audio":
            features = pooled(features, self.config.audio_pool)
        if self.training:  # whole channels: one mask for all positions of a row
            shape = (len(features), *[1] * (features.ndim - 2), features.shape[-1])
            features = features * self.dropout(features.new_ones(shape))
        norm, project = getattr(self, f"{modality}_norm"), getattr(self, f"{modality}_projector")
        return timed(norm(project(features)))

    @staticmethod
    def _present(mask: Tensor | None, tokens: Tensor) -> Tensor:
        if mask is None:
            return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return mask.view(len(mask), -1).bool().to(tokens.device).expand(tokens.shape[:2])

    def modal_tokens(self, pixel_values: Tensor | None = None, features: Features | None = None) -> Tensor:
        """(batch, n, hidden): what the language model gets, learned queries included."""
        return self._gathered(*self.modal(pixel_values, features))[0]

    def _gathered(self, modal: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return (self.resampler(modal, mask), None) if self.fusion.resamples else (modal, mask)

    def prefix_length(self, features: Tensor) -> int:
        """How many positions of the language model's sequence the modal tokens of `features` take."""
        if self.config.fusion == "concat":
            return features.shape[1:-1].numel()
        return self.config.queries if self.fusion.resamples else 0

    def fused(self, input_ids: Tensor, pixel_values: Tensor | None = None, features: Features | None = None,
              **given: Any) -> dict[str, Tensor]:  # fmt: skip
        """What the language model is given: `inputs_embeds`, (batch, prefix + length, hidden), and with
        cross-attention `encoder_hidden_states`, (batch, n, hidden); with masks `encoder_attention_mask`, (batch, n), or
        `prefix_mask`, (batch, prefix)."""
        modal, mask = self._gathered(*self.modal(pixel_values, features, **given))
        text = self.get_input_embeddings()(input_ids)
        sequence, beside = self.fusion.join(modal, text.to(modal.dtype))
        found = {"inputs_embeds": sequence}
        if self.fusion.gates:
            self.gates.beside = (beside, mask)
        elif beside is not None:
            found["encoder_hidden_states"] = beside
            if mask is not None:
                found["encoder_attention_mask"] = mask.long()
        elif mask is not None:
            found["prefix_mask"] = mask.long()
        return found

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        features: Features | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        audio_values: Tensor | None = None,
        context_ids: Tensor | None = None,
        context_mask: Tensor | None = None,
        masks: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits over the text positions and, with `labels`, their cross-entropy.

        Args:
            input_ids: (batch, length).
            attention_mask: (batch, length) over the text, or a mask over the fused sequence, (batch, 1, n, n).
            position_ids: (batch, n) over the fused sequence; by default 0, 1, 2, …, what is masked not counted.
            labels: (batch, length), the token to predict *at* each position (already shifted), −100 to ignore.

        Returns:
            logits (batch, length, vocabulary); loss, the mean over the labels that count.
        """
        given = self.fused(
            input_ids, pixel_values, features, audio_values=audio_values, context_ids=context_ids,
            context_mask=context_mask, masks=masks,
        )  # fmt: skip
        length = input_ids.shape[1]
        prefix = given["inputs_embeds"].shape[1] - length
        present = given.pop("prefix_mask", None)
        if present is not None:
            text_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            attention_mask = torch.cat([present, text_mask], dim=1)
            if position_ids is None:
                position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        elif attention_mask is not None and attention_mask.ndim == 2:
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
        features: Features | None = None,
        audio_values: Tensor | None = None,
        context_ids: Tensor | None = None,
        context_mask: Tensor | None = None,
        masks: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token ids of the answer, (batch, new length), or what the language model's `generate` returns.

        Args:
            input_ids: (batch, length), the text to go on from; by default the begin token.
            kwargs: as for `transformers` `generate` (num_beams, max_new_tokens, streamer, …).
        """
        known = features if isinstance(features, Tensor) else next(iter((features or {}).values()), None)
        source = next((given for given in (known, pixel_values, audio_values, context_ids) if given is not None), None)
        if source is None:
            raise ValueError("Give pixel_values or features, or what another encoder reads: audio_values, context_ids.")
        if input_ids is None:
            begin = self.config.text_config.bos_token_id
            input_ids = torch.full((len(source), 1), begin, dtype=torch.long, device=source.device)
        given = self.fused(
            input_ids, pixel_values, features, audio_values=audio_values, context_ids=context_ids,
            context_mask=context_mask, masks=masks,
        )  # fmt: skip
        embeds = given["inputs_embeds"]
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
        present = given.pop("prefix_mask", None)
        if present is not None:
            mask[:, : present.shape[1]] = present
        with warnings.catch_warnings():  # the prompt is a picture: it has no tokens that could come again
            warnings.filterwarnings("ignore", "Passing `no_repeat_ngram_size` with `inputs_embeds`")
            return self.language_model.generate(**given, attention_mask=mask, **kwargs)


AutoModelForImageTextToText.register(FusionConfig, FusionModel)
register_checkpoint_conversion_mapping(
    FusionConfig.model_type, [WeightRenaming(f"^{old}", new) for old, new in IN_FILES.items()]
)

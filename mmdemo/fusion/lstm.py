"""A small recurrent decoder as a causal language model of `transformers`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmdemo.fusion.config import FusionLstmConfig

# isort: split
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast


class LstmState:
    """What the layers remember of all that was read: h and c, (layers, batch, hidden)."""

    def __init__(self, hidden: Tensor, cell: Tensor, length: int) -> None:
        self.hidden, self.cell, self.length = hidden, cell, length

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """h and c of one layer, (1, batch, hidden)."""
        return self.hidden[layer : layer + 1], self.cell[layer : layer + 1]

    def get_seq_length(self) -> int:
        """Tokens read so far."""
        return self.length

    def reorder_cache(self, beams: Tensor) -> None:
        """Go on from other rows of the batch."""
        self.hidden, self.cell = self.hidden[:, beams], self.cell[:, beams]


class ScaledEmbedding(nn.Embedding):
    """Embeddings times a constant, as of arXiv:1706.03762, section 3.4: tied, the output layer keeps small weights."""

    def __init__(self, config: FusionLstmConfig) -> None:
        super().__init__(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.scale = config.embedding_scale

    def forward(self, input: Tensor) -> Tensor:
        """(batch, length) → (batch, length, hidden)."""
        return super().forward(input) * self.scale


class LstmForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Embedding → LSTM → (attention to what is beside it) → output layer.

    With `encoder_hidden_states` every output attends to them once: for an output h and vectors V beside it,
    c = softmax(h W Vᵀ / √hidden) V and h ← tanh([c; h] W_c): the global attention of arXiv:1508.04025, equations 5
    and 8.
    """

    config_class = FusionLstmConfig
    base_model_prefix = "lstm"
    _tied_weights_keys: ClassVar[dict[str, str]] = {"lm_head.weight": "embedding.weight"}

    def __init__(self, config: FusionLstmConfig) -> None:
        super().__init__(config)
        self.embedding = ScaledEmbedding(config)
        size = config.hidden_size
        self.layers = nn.ModuleList(nn.LSTM(size, size, batch_first=True) for _ in range(config.num_hidden_layers))
        self.dropout = nn.Dropout(config.dropout)
        self.look = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.records = False
        self.weights: Tensor | None = None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.LSTM):
            bias = module.get_parameter("bias_ih_l0")
            if not getattr(bias, "_is_hf_initialized", False):  # else it was loaded
                with torch.no_grad():  # open forget gates at first: what was said early is remembered
                    bias[module.hidden_size : 2 * module.hidden_size] = 1.0

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # its state does not grow

    def get_input_embeddings(self) -> nn.Module:
        """Token embeddings."""
        return self.embedding

    def get_output_embeddings(self) -> nn.Module:
        """Output layer."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: LstmState | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the next token at each position.

        Args:
            input_ids: (batch, length), or `inputs_embeds`, (batch, length, hidden).
            attention_mask: (batch, length) or longer at the left; what it masks is read as zeros.
            encoder_hidden_states: (batch, n, hidden), and `encoder_attention_mask`, (batch, n).
            logits_to_keep: only so many logits at the end; 0 for all.
        """
        if inputs_embeds is None:
            inputs_embeds = self.embedding(input_ids)
        if attention_mask is not None:
            inputs_embeds = inputs_embeds * attention_mask[:, -inputs_embeds.shape[1] :, None].to(inputs_embeds.dtype)
        out, states = self.dropout(inputs_embeds), list[tuple[Tensor, Tensor]]()
        for index, layer in enumerate(self.layers):
            before = None if past_key_values is None else past_key_values.of(index)
            found, state = layer(out, before)
            found = self.dropout(found)
            out = out + found if self.config.residual and index else found
            states.append(state)
        if encoder_hidden_states is not None:
            out = self._looked(out, encoder_hidden_states, encoder_attention_mask)
        logits = self.lm_head(out[:, -logits_to_keep:])
        seen = (past_key_values.length if past_key_values else 0) + inputs_embeds.shape[1]
        hidden, cell = (torch.cat(parts) for parts in zip(*states, strict=True))
        return CausalLMOutputWithPast(
            logits=logits, past_key_values=LstmState(hidden, cell, seen) if use_cache else None
        )

    def _looked(self, out: Tensor, beside: Tensor, mask: Tensor | None) -> Tensor:
        scores = self.look(out) @ beside.transpose(1, 2) / math.sqrt(out.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None].bool(), torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        if self.records:
            self.weights = weights[:, None]
        return torch.tanh(self.join(torch.cat([weights @ beside, out], dim=-1)))


AutoModelForCausalLM.register(FusionLstmConfig, LstmForCausalLM)

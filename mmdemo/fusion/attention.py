"""Attention to modal tokens: learned queries that gather them, gated layers that let a language model look at them.

Of queries Q = X W_q, keys K = V W_k and values V W_v, with heads of size d:

    Attention(Q, K, V) = softmax(Q Kᵀ / √d) V        (arXiv:1706.03762, equation 1)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo.fusion.encoders import feed_forward, start_with


class Attention(nn.Module):
    """Several heads of attention from one sequence to another."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        for projection in (self.query, self.key, self.value, self.out):
            start_with(projection, hidden**-0.5)
        self.records = False
        self.weights: Tensor | None = None

    def forward(self, sequence: Tensor, beside: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each position of `sequence` finds in `beside`; while `records`, the attention is kept in `weights`.

        Args:
            sequence: X, (batch, m, hidden).
            beside: V, (batch, n, hidden).
            mask: (batch, n), True where there is something; a row with nothing finds zeros.

        Returns:
            (batch, m, hidden); `weights` are (batch, heads, m, n).
        """
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(sequence), self.key(beside), self.value(beside))
        )
        visible = None if mask is None else mask[:, None, None, :].bool()
        if self.records:
            scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
            if visible is not None:
                scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
            self.weights = scores.softmax(-1)
            found = self.weights @ value
        else:
            bias = None
            if visible is not None:
                bias = torch.zeros_like(visible, dtype=query.dtype).masked_fill(~visible, torch.finfo(query.dtype).min)
            found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        if visible is not None:
            found = found * visible.any(-1, keepdim=True)
        return self.out(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class ResamplerLayer(nn.Module):
    """One round of the queries: look at the modal tokens and at each other, then think."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.norm_beside = nn.LayerNorm(hidden)
        self.attention = Attention(hidden, heads)
        self.feed_forward = feed_forward(hidden)

    def forward(self, found: Tensor, modal: Tensor, mask: Tensor | None) -> Tensor:
        """The queries, (batch, queries, hidden), after this round."""
        normed = self.norm(found)
        found = found + self.attention(normed, torch.cat([self.norm_beside(modal), normed], dim=1), mask)
        return found + self.feed_forward(found)  # type: ignore[no-any-return]


class Resampler(nn.Module):
    """A fixed number of learned queries gather what is in any number of modal tokens.

    The Perceiver resampler of Flamingo (arXiv:2204.14198, section 3.1 and appendix A.1.1), which is what the Q-Former
    of BLIP-2 (arXiv:2301.12597) does too. In each layer, with Q the queries and V the modal tokens,

        Q ← Q + Attention(Q, [V; Q], [V; Q]),    Q ← Q + FFW(Q).
    """

    def __init__(self, queries: int, hidden: int, heads: int, layers: int) -> None:
        super().__init__()
        # Small, so that what is found outweighs who is asking: LayerNorm makes them as large as need be to ask.
        self.queries = nn.Parameter(0.02 * torch.randn(queries, hidden))
        self.layers = nn.ModuleList(ResamplerLayer(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, modal: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, n, hidden), with True in `mask`, (batch, n), where there is something → (batch, queries, hidden)."""
        found = self.queries.to(modal.dtype) + torch.zeros_like(modal[:, :1])  # traced for any batch
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(mask), found.shape[1])], dim=1)
        for layer in self.layers:
            found = layer(found, modal, mask)
        return self.norm(found)  # type: ignore[no-any-return]


class GatedCrossAttention(nn.Module):
    """What a layer of a language model sees of the modal tokens, behind gates that are closed at first, or at `start`.

    Of Flamingo (arXiv:2204.14198, section 3.2): with X the text tokens, V the modal tokens and the gates α, β from 0,

        X ← X + tanh(α) Attention(X, V, V),    X ← X + tanh(β) FFW(X),

    so that a pretrained language model is itself when training begins.
    """

    def __init__(self, hidden: int, heads: int, start: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.attention = Attention(hidden, heads)
        self.feed_forward = feed_forward(hidden)
        self.attention_gate = nn.Parameter(torch.full((1,), start))
        self.feed_forward_gate = nn.Parameter(torch.full((1,), start))

    def forward(self, text: Tensor, modal: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, m, hidden) and (batch, n, hidden), of which `mask`, (batch, n), says what is there → as `text`."""
        text = text + self.attention_gate.tanh() * self.attention(self.norm(text), modal, mask)
        return text + self.feed_forward_gate.tanh() * self.feed_forward(text)  # type: ignore[no-any-return]


class Gates(nn.ModuleList):
    """Gated layers before every so-manieth layer of a language model, which stays as it is: they hook into it.

    Attributes:
        beside: what they look at, (batch, n, hidden), and the mask of it; set before the language model runs.
    """

    def __init__(self, layers: Sequence[nn.Module], hidden: int, heads: int, every: int, start: float) -> None:
        chosen = layers[::every]
        super().__init__(GatedCrossAttention(hidden, heads, start) for _ in chosen)
        self.beside: tuple[Tensor | None, Tensor | None] = (None, None)
        for index, layer in enumerate(chosen):
            layer.register_forward_pre_hook(partial(self._before, index), with_kwargs=True)

    def _before(self, index: int, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments of a layer of the language model, its hidden states having looked at the modal tokens."""
        hidden = args[0] if args else kwargs["hidden_states"]
        modal, mask = self.beside
        if modal is not None:
            beams = len(hidden) // len(modal)  # a beam search repeats each row
            mask = None if mask is None else mask.repeat_interleave(beams, 0)
            hidden = self[index](hidden, modal.repeat_interleave(beams, 0), mask)
        return ((hidden, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": hidden})

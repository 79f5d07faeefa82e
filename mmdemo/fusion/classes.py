"""Classes of a text, or tags of its words, with the picture beside it: words attend to places of the picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo.fusion import encoders
from mmdemo.fusion.align import PROJECTORS
from mmdemo.fusion.attention import Attention
from mmdemo.fusion.config import ClassesConfig, width

# isort: split
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput


class Looking(nn.Module):
    """Words look at the places of a picture, through a gate that says how much of it each word needs.

    Cross-attention with a visual gate, as for entities in tweets (Yu et al. 2020, ACL 2020.acl-main.306, section 3.3):
    with H the words and V the places,

        A = Attention(LN(H), V, V),    G = σ([H; A] W_g + b_g),    H ← H + G ⊙ A,    H ← H + FFW(H).

    Without a picture A is 0, and the words are what the text alone makes of them.
    """

    def __init__(self, channels: int, hidden: int, places: int, heads: int) -> None:
        super().__init__()
        self.projector = PROJECTORS["mlp"](channels, hidden)
        self.places = nn.Parameter(0.02 * torch.randn(places, hidden))
        self.norm_places = nn.LayerNorm(hidden)
        self.norm = nn.LayerNorm(hidden)
        self.attention = Attention(hidden, heads)
        self.gate = nn.Linear(2 * hidden, hidden)
        self.feed_forward = encoders.feed_forward(hidden)

    def forward(self, words: Tensor, features: Tensor | None, mask: Tensor | None) -> Tensor:
        """(batch, length, hidden) of words and (batch, places, channels) of pictures → as the words.

        Args:
            mask: (batch,), True where there is a picture; None: everywhere.
        """
        if features is not None:
            seen = self.norm_places(self.projector(features)) + self.places
            there = None if mask is None else mask[:, None].expand(-1, seen.shape[1])
            found = self.attention(self.norm(words), seen, there)
            words = words + torch.sigmoid(self.gate(torch.cat([words, found], -1))) * found
        return words + self.feed_forward(words)  # type: ignore[no-any-return]


class ClassesModel(PreTrainedModel):  # type: ignore[misc]
    """text encoder → `Looking` at what a frozen network sees → classes.

    Takes pictures, (batch, 3, height, width), or their features, (batch, places, channels), as `look` makes them; or
    neither. `picture_mask`, (batch,), is False where a row has no picture.
    """

    config_class = ClassesConfig
    base_model_prefix = "fused"
    main_input_name = "input_ids"

    def __init__(self, config: ClassesConfig) -> None:
        super().__init__(config)
        hidden = width(config.text_config)
        self.vision = encoders.build(config.vision_config)
        self.text = encoders.build(config.text_config)
        self.looking = Looking(width(config.vision_config), hidden, config.looks**2, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(hidden, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        encoders.initialize(module)

    def look(self, pixel_values: Tensor) -> Tensor:
        """Features of pictures, (batch, places, channels): means over a grid, row by row from the top left."""
        found = self.vision.read(pixel_values)
        side = math.isqrt(found.shape[1])
        grid = found.transpose(1, 2).reshape(len(found), -1, side, side)
        return nn.functional.adaptive_avg_pool2d(grid, self.config.looks).flatten(2).transpose(1, 2)

    def read(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        picture_mask: Tensor | None = None,
    ) -> Tensor:
        """(batch, length, hidden): words that have looked."""
        if features is None and pixel_values is not None:
            features = self.look(pixel_values)
        if features is not None and self.training and self.config.modality_dropout:
            kept = torch.rand(len(input_ids), device=input_ids.device) >= self.config.modality_dropout
            picture_mask = kept if picture_mask is None else picture_mask & kept
        words = self.text.read(input_ids, attention_mask)
        return self.looking(words, features, picture_mask)  # type: ignore[no-any-return]


class PictureTextForSequenceClassification(ClassesModel):
    """A class for a text with its picture: of the mean over its words."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **given: Any) -> Any:
        """`logits`, (batch, classes); other arguments as `read` takes them."""
        words = self.read(input_ids, attention_mask, **_known(given))
        there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = there[..., None].to(words.dtype)
        mean = (words * weights).sum(1) / weights.sum(1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean)))


class PictureTextForTokenClassification(ClassesModel):
    """A tag for each piece of a word, with the picture beside the text."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **given: Any) -> Any:
        """`logits`, (batch, length, tags); other arguments as `read` takes them."""
        words = self.read(input_ids, attention_mask, **_known(given))
        return TokenClassifierOutput(logits=self.classifier(self.dropout(words)))


TAKEN = ("pixel_values", "features", "picture_mask")
ENDINGS: dict[str, type[ClassesModel]] = {
    "ForSequenceClassification": PictureTextForSequenceClassification,
    "ForTokenClassification": PictureTextForTokenClassification,
}
"""How the name of an architecture ends, to the model."""


def _known(given: dict[str, Any]) -> dict[str, Any]:
    """Without what a tokenizer adds that nothing reads here: the kinds of tokens."""
    return {name: value for name, value in given.items() if name in TAKEN}


def begun(ending: str, eye: Path, reader: Path, **choices: Any) -> ClassesModel:
    """A model of encoders from two folders, with all between them fresh.

    Args:
        ending: one of `ENDINGS`; eye: the folder of an image network; reader: of an encoder of text.
        choices: other fields of `ClassesConfig`, the names of the classes among them.

    Raises:
        WeightsError: a folder cannot be read as what it is given for.
    """
    from mmdemo.fusion import compose  # what is made here runs without it

    (seen, seen_config), (read, read_config) = compose.encoder(eye), compose.encoder(reader)
    heads = math.gcd(12, width(read_config))
    made = ENDINGS[ending](
        ClassesConfig(vision_config=seen_config.to_dict(), text_config=read_config.to_dict(), heads=heads, **choices)
    )
    made.vision, made.text = seen, read
    made.eval()
    return made


AutoModelForSequenceClassification.register(ClassesConfig, PictureTextForSequenceClassification)
AutoModelForTokenClassification.register(ClassesConfig, PictureTextForTokenClassification)

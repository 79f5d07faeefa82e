"""Answers of a fusion model explained: words for tokens, places for positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import InputError
from mmdemo.results import Reason

if TYPE_CHECKING:
    from torch import Tensor

    from mmdemo.fusion.model import FusionModel

Floats = NDArray[np.float32]


def reasons(
    model: FusionModel,
    tokenizer: Any,
    features: Mapping[str, Tensor],
    answer: str,
    most: int,
) -> tuple[Reason, ...]:
    """Why each word of an answer was said.

    Args:
        tokenizer: of the library `tokenizers`.
        features: by modality, of one row, as `FusionModel.encoded` gives them.
        most: tokens that the model may write.

    Raises:
        InputError: the answer has no words, or more than the model may write.
    """
    import torch

    from mmdemo.fusion.why import why

    encoding = tokenizer.encode(answer, add_special_tokens=False)
    if not encoding.ids:
        raise InputError("The answer has no words: give what the model said.")
    if len(encoding.ids) > most:
        raise InputError(
            f"The answer has {len(encoding.ids):,} tokens and this model writes at most {most:,}: give a shorter one."
        )
    device = next(iter(features.values())).device
    found = why(model, torch.tensor(encoding.ids, device=device), features)
    logs = np.log(np.maximum(found.probabilities, 1e-30))
    made = []
    for text, own in words(answer, encoding):
        together = float(logs[own].sum())
        looked = {
            modality: places(modality, model.config.encoder(modality), weights[own].mean(0))
            for modality, weights in found.looked.items()
        }
        without = {name: float(np.exp(together - lost[own].sum())) for name, lost in found.without.items()}
        made.append(Reason(text, float(np.exp(together)), looked, without))
    return tuple(made)


def words(answer: str, encoding: Any) -> list[tuple[str, list[int]]]:
    """The words of an answer and of each its tokens, by what the tokenizer takes for one word."""
    groups: dict[int, list[int]] = {}
    for place, word in enumerate(encoding.word_ids):
        groups.setdefault(-1 if word is None else word, []).append(place)
    spans = [(encoding.offsets[own[0]][0], encoding.offsets[own[-1]][1], own) for own in groups.values()]
    return [(answer[start:end].strip(), own) for start, end, own in spans]


def tokens(tokenizer: Any, answer: str) -> list[str]:
    """The pieces of an answer or another text, as the language model writes and reads them."""
    encoding = tokenizer.encode(answer, add_special_tokens=False)
    return [answer[start:end] for start, end in encoding.offsets]


def places(modality: str, config: Any, weights: Floats) -> Floats:
    """How much each position counts, (positions,) or (frames, positions), as (frames, rows, columns).

    What belongs to no place of a picture (a CLS token, registers) is spread over all of it.
    """
    from mmdemo.fusion.why import grid

    given = weights[None] if weights.ndim == 1 else weights
    rows, columns = grid(modality, config, given.shape[1])
    extra, own = given[:, : given.shape[1] - rows * columns], given[:, given.shape[1] - rows * columns :]
    spread = own + extra.sum(1, keepdims=True) / (rows * columns)
    return np.ascontiguousarray(spread.reshape(-1, rows, columns), dtype=np.float32)


def evidence(encoder: Any, seen: Tensor, chosen: Sequence[int]) -> tuple[list[Floats], list[float]]:
    """Where in a picture the encoder sees each of the classes, and how likely it finds each.

    A place counts by ∇f · f of the logarithm of the class's probability where that is above 0: Grad-CAM
    (arXiv:1610.02391) with a weight for each place, which for a mean over places and one matrix is the exact share.

    Args:
        encoder: a `VisionEncoder`.
        seen: (1, channels, rows, columns), its last feature map of a picture.

    Returns:
        Maps (1, rows, columns) whose sum is 1, and probabilities.
    """
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        grid = seen.detach().clone().requires_grad_()
        logs = encoder.network.forward_head(grid)[0].log_softmax(-1)
        maps = []
        for index in chosen:
            (slope,) = torch.autograd.grad(logs[index], grid, retain_graph=True)
            counted = (slope * grid).sum(1).clamp(min=0).detach()
            maps.append(np.asarray((counted / counted.sum().clamp(min=1e-12)).cpu().numpy(), dtype=np.float32))
    return maps, logs.detach().exp()[list(chosen)].tolist()


def of_labels(
    answer: str, phrases: Sequence[str], maps: Sequence[Floats], likely: Sequence[float]
) -> tuple[Reason, ...]:
    """The words of a sentence that is made of labels, each with what is known of its label; the others as the first."""
    made = []
    spans = [(answer.lower().find(phrase.lower()), len(phrase)) for phrase in phrases]
    at = 0
    for text in answer.split():
        at = answer.index(text, at)
        own = next((i for i, (start, length) in enumerate(spans) if 0 <= start <= at < start + length), 0)
        made.append(Reason(text, likely[own], {"vision": maps[own]}))
        at += len(text)
    return tuple(made)

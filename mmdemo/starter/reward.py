"""Self-critical training: sentences are sampled, and those that people agree with more become likelier.

Rennie et al., "Self-critical sequence training for image captioning" (arXiv:1612.00563): the gradient of the expected
CIDEr by REINFORCE. The baseline of a sample is the mean reward of the other samples of its picture (Luo,
arXiv:2003.09971), so that no extra decoding is needed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mmdemo.fusion.checkpoint import assemble
from mmdemo.fusion.export import Prefill, Step
from mmdemo.fusion.fuse import shared_prefix_mask
from mmdemo.fusion.model import FusionModel
from mmdemo.starter.captions import Row, scores, words
from mmdemo.starter.recipe import BEAMS, Recipe, describe, save

LONGEST = 24
"""Tokens sampled at most."""
EVERY = 150
"""Steps between two scores on the held-out pictures."""


class Reward:
    """CIDEr-D of single sentences, with the document frequencies of a whole set of captions."""

    def __init__(self, rows: Sequence[Row]) -> None:
        from pycocoevalcap.cider.cider_scorer import CiderScorer, cook_refs

        self._references = [cook_refs([words(text) for text in row.captions]) for row in rows]
        scorer = CiderScorer()
        scorer.crefs = self._references
        scorer.compute_doc_freq()
        self._scorer: Any = scorer

    def __call__(self, indices: Sequence[int], sentences: Sequence[str]) -> NDArray[np.float32]:
        """(sentences,): the reward of each sentence for the picture `indices` names."""
        from pycocoevalcap.cider.cider_scorer import cook_test

        class Corpus(list):  # type: ignore[type-arg]
            """The references of these sentences, which count as many documents as the whole set has."""

            def __len__(inner) -> int:
                return len(self._references)

        chosen = [self._references[index] for index in indices]
        tests = [cook_test(words(text)) for text in sentences]
        self._scorer.ctest, self._scorer.crefs = tests, Corpus(chosen)
        return np.asarray(self._scorer.compute_cider(), np.float32)


@torch.inference_mode()
def sample(model: FusionModel, features: Tensor, count: int) -> Tensor:
    """`count` sampled sentences a picture, (batch, count, length), padded after the end token.

    The picture is read once and its keys and values are repeated, which `generate` does the other way round.
    """
    model.eval()
    text = model.config.text_config
    logits, *past = (tensor.repeat_interleave(count, dim=0) for tensor in Prefill(model).read(features))
    step = Step(model)
    longest = min(LONGEST, text.max_position_embeddings - past[0].shape[2])
    ids = torch.full((len(features) * count, longest), text.pad_token_id)
    going = torch.ones(len(ids), dtype=torch.bool)
    for place in range(longest):
        drawn = torch.multinomial(logits.softmax(-1), 1)
        ids[:, place] = torch.where(going, drawn[:, 0], text.pad_token_id)
        going &= drawn[:, 0] != text.eos_token_id
        if not going.any() or place == longest - 1:
            break
        logits, *grown = step(drawn, *past)
        past = [*grown, *past[len(grown) :]]
    return ids[:, : place + 1].reshape(len(features), count, -1)


def loss_of(model: FusionModel, features: Tensor, ids: Tensor, advantage: Tensor) -> Tensor:
    """The policy gradient's surrogate: minus advantage × log-probability, a mean over the sampled tokens.

    Args:
        ids: (batch, samples, length), sampled tokens with padding after the end.
        advantage: (batch, samples).
    """
    text = model.config.text_config
    inputs = torch.cat([torch.full_like(ids[..., :1], text.bos_token_id), ids[..., :-1]], dim=-1)
    valid = ids != text.pad_token_id
    mask, positions = shared_prefix_mask(model.prefix_length(features), valid)
    output = model(input_ids=inputs.flatten(1), features=features, attention_mask=mask, position_ids=positions)
    kept = valid.flatten()
    likelihood = -nn.functional.cross_entropy(
        output.logits.flatten(0, 1)[kept].float(), ids.flatten()[kept], reduction="none"
    )
    weight = advantage[..., None].expand_as(ids).flatten()[kept]
    return -(weight * likelihood).mean()


def train(
    recipe: Recipe,
    rows: list[Row],
    features: list[NDArray[np.float16]],
    held_out: list[Row],
    held_out_features: NDArray[np.float16],
    out: Path,
    encoder_folder: Path,
) -> FusionModel:
    """Improve the checkpoint in `out` and keep the best; arguments as for `supervised.train`."""
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(out)
    model = assemble(out, encoder_folder)
    model.vision.freeze()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=recipe.reward_learning_rate, weight_decay=0.0)
    reward = Reward(rows)
    best = scores(describe(model, held_out_features, tokenizer, BEAMS), held_out)["cider"]
    print(f"before reward: {best}", flush=True)
    order: list[int] = []
    rewards: list[float] = []
    began = time.monotonic()
    for step in range(1, recipe.reward_steps + 1):
        if len(order) < recipe.batch:
            order = rng.sample(range(len(rows)), len(rows))
        indices, order = order[: recipe.batch], order[recipe.batch :]
        seen = torch.from_numpy(np.asarray(rng.choice(features)[indices], dtype=np.float32))
        ids = sample(model, seen, recipe.reward_samples).clone()  # a clone is no inference tensor
        said = tokenizer.batch_decode(ids.flatten(0, 1), skip_special_tokens=True)
        whose = [index for index in indices for _ in range(recipe.reward_samples)]
        got = torch.from_numpy(reward(whose, said)).reshape(len(indices), -1)
        rewards.append(got.mean().item())
        others = (got.sum(1, keepdim=True) - got) / (recipe.reward_samples - 1)
        model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, seen, ids, got - others)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % EVERY and step != recipe.reward_steps:
            continue
        sentences = describe(model, held_out_features, tokenizer, BEAMS)
        result = scores(sentences, held_out)
        line = f"reward step {step}: {time.monotonic() - began:.0f} s, reward {np.mean(rewards):.3f}, {result}"
        print(f"{line}, distinct {len(set(sentences))}, e.g. {sentences[0]!r}", flush=True)
        rewards.clear()
        if result["cider"] > best:
            best = result["cider"]
            save(model, tokenizer, out, {"recipe": asdict(recipe), "reward_step": step, "validation": result})
    return model

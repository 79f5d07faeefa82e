"""Learning from captions: cross-entropy over a few captions of each picture."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers.optimization import get_cosine_schedule_with_warmup

from mmdemo.fusion.checkpoint import load_encoder
from mmdemo.fusion.fuse import shared_prefix_mask
from mmdemo.fusion.model import FusionModel
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.starter.captions import Row, scores
from mmdemo.starter.recipe import BEAMS, Recipe, describe, new_model, save

SCORED_EVERY = 5
"""Epochs between two scores on the held-out pictures."""


def batches(
    tokens: list[list[list[int]]], recipe: Recipe, pad: int, rng: random.Random
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """One epoch, a few captions of each picture: the pictures' indices, input ids and labels.

    Ids and labels are (batch, captions, length), with −100 where there is no token.
    """
    order = list(range(len(tokens)))
    rng.shuffle(order)
    for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
        indices = order[start : start + recipe.batch]
        drawn = [rng.sample(tokens[index], min(recipe.captions, len(tokens[index]))) for index in indices]
        length = max(len(ids) for few in drawn for ids in few) - 1
        inputs = torch.full((len(indices), recipe.captions, length), pad)
        labels = torch.full_like(inputs, -100)
        for row, few in enumerate(drawn):
            for column, ids in enumerate(few):
                inputs[row, column, : len(ids) - 1] = torch.tensor(ids[:-1])
                labels[row, column, : len(ids) - 1] = torch.tensor(ids[1:])
        yield indices, inputs, labels


def loss_of(model: FusionModel, features: Tensor, inputs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the captions of a batch, each picture read once."""
    valid = labels != -100
    mask, positions = shared_prefix_mask(model.prefix_length(features), valid)
    output = model(input_ids=inputs.flatten(1), features=features, attention_mask=mask, position_ids=positions)
    kept = valid.flatten()
    logits = output.logits.flatten(0, 1)[kept].float()
    return nn.functional.cross_entropy(logits, labels.flatten()[kept], label_smoothing=smoothing)


def train(
    recipe: Recipe,
    rows: list[Row],
    features: list[NDArray[np.float16]],
    held_out: list[Row],
    held_out_features: NDArray[np.float16],
    out: Path,
    encoder_folder: Path,
) -> FusionModel:
    """Train, score the moving average of the weights now and then, keep the best in `out`.

    Args:
        features: the same pictures seen in several ways (as they are, mirrored); each batch draws one.
    """
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    tokenizer = train_tokenizer([text for row in rows for text in row.captions], recipe.vocabulary)
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokens = [
        [[begin, *ids[: recipe.longest], end] for ids in tokenizer(list(row.captions))["input_ids"]] for row in rows
    ]
    model = new_model(recipe, tokenizer)
    model.vision = load_encoder(encoder_folder)
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    steps = recipe.epochs * (len(rows) // recipe.batch)
    schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=200, num_training_steps=steps)
    print(f"{sum(p.numel() for p in decay + plain):,} trained parameters, {steps} steps", flush=True)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))  # type: ignore[no-untyped-call]
    shipped = average.module
    assert isinstance(shipped, FusionModel)
    best = 0.0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        began, total, count = time.monotonic(), 0.0, 0
        for indices, inputs, labels in batches(tokens, recipe, tokenizer.pad_token_id, rng):
            seen = torch.from_numpy(np.asarray(rng.choice(features)[indices], dtype=np.float32))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(model, seen, inputs, labels, recipe.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(decay + plain, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            average.update_parameters(model)
            total, count = total + loss.item(), count + 1
        line = f"epoch {epoch}: loss {total / count:.3f}, {time.monotonic() - began:.0f} s"
        if epoch % SCORED_EVERY == 0 or epoch == recipe.epochs:
            sentences = describe(shipped, held_out_features, tokenizer, BEAMS)
            result = scores(sentences, held_out)
            line += f", {result}, distinct {len(set(sentences))}, e.g. {sentences[0]!r}"
            if result["cider"] > best:
                best = result["cider"]
                save(shipped, tokenizer, out, {"recipe": asdict(recipe), "epoch": epoch, "validation": result})
        print(line, flush=True)
    return shipped

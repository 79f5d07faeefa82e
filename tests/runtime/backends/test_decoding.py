"""Beam search over an engine, against `transformers`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmdemo.fusion.export import Prefill, Step
from mmdemo.runtime.backends.decoding import decode
from tests.fusion.toys import toy_model


class ToyEngine:
    """The toy model one word at a time, as `TorchEngine` runs a real one."""

    name = "toy"

    def __init__(self, seed: int, fusion: str = "concat") -> None:
        self.model = toy_model(seed=seed, fusion=fusion)
        torch.nn.init.normal_(self.model.get_input_embeddings().weight, std=0.4)  # else all words are as likely
        self._prefill, self._step = Prefill(self.model), Step(self.model)

    @torch.inference_mode()
    def prefill(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
        classes, logits, *state = self._prefill(torch.from_numpy(pixels))
        return classes.numpy(), logits.numpy(), state

    @torch.inference_mode()
    def step(self, tokens: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        logits, *grown = self._step(torch.from_numpy(tokens[:, None]), *state)
        return logits.numpy(), [*grown, *state[len(grown) :]]

    def select(self, state: Any, rows: Any) -> Any:
        return [tensor[list(rows)] for tensor in state]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("fusion", ["concat", "cross-attention"])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("no_repeat", [0, 1, 2])
def test_it_finds_what_transformers_finds(width: int, seed: int, fusion: str, no_repeat: int) -> None:
    engine = ToyEngine(seed, fusion)
    pixels = np.random.default_rng(seed).normal(size=(4, 3, 64, 64)).astype(np.float32)
    ids = engine.model.generate(
        pixel_values=torch.from_numpy(pixels), max_new_tokens=8, num_beams=width, do_sample=False, length_penalty=1.0,
        no_repeat_ngram_size=no_repeat,
    )  # fmt: skip
    expected = [[token for token in row if token not in (0, 2)] for row in ids.tolist()]
    _, logits, state = engine.prefill(pixels)
    growing = decode(engine, logits, state, end=2, limits=[8] * len(logits), width=width, no_repeat=no_repeat)
    found = {i: tokens for i, tokens, done in growing if done}
    agreeing = sum([t for t in found[i] if t != 0] == expected[i] for i in range(4))
    assert agreeing == 4, (found, expected)
    for tokens in found.values():
        runs = [tuple(tokens[start : start + no_repeat]) for start in range(len(tokens) - no_repeat + 1)]
        assert not no_repeat or len(set(runs)) == len(runs)


def test_sentences_that_end_leave_the_batch() -> None:
    """A scripted engine: picture k says token 5 k times, then ends."""
    sizes: list[int] = []

    class Scripted:
        name = "scripted"

        def step(self, tokens: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
            sizes.append(len(tokens))
            left = [count - 1 for count in state]
            return logits_for(left), left

        def select(self, state: Any, rows: Any) -> Any:
            return [state[row] for row in rows]

    def logits_for(left: list[int]) -> np.ndarray:
        logits = np.full((len(left), 10), -9.0, np.float32)
        for row, count in enumerate(left):
            logits[row, 5 if count > 0 else 2] = 9.0
        return logits

    events = list(decode(Scripted(), logits_for([1, 3, 2]), [1, 3, 2], end=2, limits=[20] * 3, width=1))
    assert [(index, tokens) for index, tokens, done in events if done] == [(0, [5]), (2, [5, 5]), (1, [5, 5, 5])]
    assert sizes == [3, 2, 1]


def test_the_last_step_ends_every_sentence() -> None:
    engine = ToyEngine(0)
    _, logits, state = engine.prefill(np.zeros((2, 3, 64, 64), np.float32))
    events = list(decode(engine, logits, state, end=49, limits=[2] * len(logits), width=2))
    assert sorted(index for index, _, done in events if done) == [0, 1]
    assert all(len(tokens) <= 2 for _, tokens, _ in events)

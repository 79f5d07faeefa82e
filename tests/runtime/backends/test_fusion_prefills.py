"""The memory of pictures: what is known is not read again, and what comes out is what the engine said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime.backends.fusion_engines import Floats
from mmdemo.runtime.backends.fusion_prefills import Prefills


class Counting:
    """An engine whose results are sums of a picture's pixels; it notes what it is given."""

    def __init__(self) -> None:
        self.read: list[list[float]] = []

    def prefill(self, pixels: Floats) -> tuple[Floats, Floats, Any]:
        """Class logits and first logits of two numbers, and a state of two tensors."""
        sums = pixels.sum(axis=(1, 2, 3))
        self.read.append(sums.tolist())
        pairs = np.stack([sums, -sums], axis=1)
        return pairs, pairs * 10, [np.repeat(pairs[:, None], 3, axis=1), pairs * 100]

    def step(self, tokens: NDArray[np.int64], state: Any) -> tuple[Floats, Any]:
        """Never called here."""
        raise AssertionError

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """As the engines do."""
        return [tensor[list(rows)] for tensor in state]

    def join(self, states: Sequence[Any]) -> Any:
        """As the engines do."""
        return [np.concatenate(tensors) for tensors in zip(*states, strict=True)]


def pictures(*values: float) -> Floats:
    return np.stack([np.full((3, 2, 2), value / 12, np.float32) for value in values])


def same(left: tuple[Floats, Floats, Any], right: tuple[Floats, Floats, Any]) -> bool:
    pairs = zip((left[0], left[1], *left[2]), (right[0], right[1], *right[2]), strict=True)
    return all(one.dtype == other.dtype and np.array_equal(one, other) for one, other in pairs)


def test_a_known_picture_is_not_read_again_and_comes_back_in_its_place() -> None:
    engine, plain = Counting(), Counting()
    prefills = Prefills(engine)
    for batch in (pictures(1, 2), pictures(2), pictures(3, 2, 1, 4), pictures(4, 3, 2, 1)):
        assert same(prefills(batch), plain.prefill(batch))
    assert [[round(value) for value in read] for read in engine.read] == [[1, 2], [3, 4]]


def test_the_same_picture_twice_in_a_batch_is_read_once() -> None:
    engine = Counting()
    assert same(Prefills(engine)(pictures(5, 6, 5)), Counting().prefill(pictures(5, 6, 5)))
    assert [[round(value) for value in read] for read in engine.read] == [[5, 6]]


def test_pictures_that_differ_in_one_number_are_two() -> None:
    engine = Counting()
    prefills = Prefills(engine)
    batch = pictures(1)
    prefills(batch)
    batch[0, 2, 1, 1] += 1
    assert same(prefills(batch), Counting().prefill(batch))
    assert len(engine.read) == 2


def test_what_was_used_longest_ago_is_forgotten_when_the_room_is_used_up() -> None:
    engine = Counting()
    one = 8 + 8 + 24 + 8  # bytes of a picture's results
    prefills = Prefills(engine, most=2 * one)
    for value in (1, 2, 1, 3, 1, 2):
        assert same(prefills(pictures(value)), Counting().prefill(pictures(value)))
    assert [round(read[0]) for read in engine.read] == [1, 2, 3, 2]


def test_a_batch_larger_than_the_memory_is_answered_whole() -> None:
    engine = Counting()
    prefills = Prefills(engine, most=100)
    batch = pictures(*range(9))
    assert same(prefills(batch), Counting().prefill(batch))
    assert same(prefills(batch), Counting().prefill(batch))


def test_what_is_kept_is_not_changed_with_what_was_given() -> None:
    engine = Counting()
    prefills = Prefills(engine)
    for _ in range(3):
        classes, logits, state = prefills(pictures(7))
        assert np.array_equal(state[0][:, 0], classes)
        for tensor in (classes, logits, *state):
            tensor += 1
    assert len(engine.read) == 1

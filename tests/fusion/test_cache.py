"""Features of a frozen encoder are computed once, and never taken for another's."""

from __future__ import annotations

import pytest
import torch

from mmdemo.errors import WeightsError
from mmdemo.fusion.cache import FeatureCache


class Counting:
    """An encoder that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, indices: list[int]) -> list[torch.Tensor]:
        self.asked += indices
        return [torch.full((2, 3), float(index)) for index in indices]


def test_what_was_computed_is_read_the_next_time_and_twins_are_computed_once(tmp_path) -> None:
    encode = Counting()
    first = FeatureCache(tmp_path, "one").features(["a", "b", "a"], encode)
    assert encode.asked == [0, 1]
    assert [tensor[0, 0].item() for tensor in first] == [0, 1, 0]
    again = FeatureCache(tmp_path, "one").features(["b", "c"], encode)
    assert encode.asked == [0, 1, 1], "c alone, which stands at 1"
    assert torch.equal(again[0], first[1]) and again[0].dtype == torch.float32


def test_features_of_another_encoder_are_refused(tmp_path) -> None:
    cache = FeatureCache(tmp_path, "one")
    cache.features(["a"], Counting())
    with pytest.raises(WeightsError, match=r"are of another encoder: choose that encoder again, or empty the folder\."):
        FeatureCache(tmp_path, "two")


def test_a_file_of_another_encoder_that_was_copied_in_is_refused(tmp_path) -> None:
    one, two = FeatureCache(tmp_path / "1", "one"), FeatureCache(tmp_path / "2", "two")
    one.features(["a"], Counting())
    next((tmp_path / "1").glob("*.safetensors")).rename(two._file("a"))
    with pytest.raises(WeightsError, match="are of another encoder"):
        two.features(["a"], Counting())


def test_a_damaged_file_is_computed_again(tmp_path) -> None:
    encode = Counting()
    cache = FeatureCache(tmp_path, "one")
    cache.features(["a"], encode)
    next(tmp_path.glob("*.safetensors")).write_bytes(b"torn")
    assert cache.features(["a"], encode)[0].shape == (2, 3)
    assert encode.asked == [0, 0]
    assert not list(tmp_path.glob("*.partial"))

"""Self-critical training: the reward, the samples, the gradient, and the loop on toys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmdemo.starter.captions import Row, scores
from mmdemo.starter.reward import Reward, loss_of, sample
from tests.fusion.toys import toy_model

ROWS = [
    Row(Path("a"), ("A brown dog runs on the grass.", "A dog is running through grass.")),
    Row(Path("b"), ("Two men play football in a field.", "Men are playing football.")),
    Row(Path("c"), ("A child eats an ice cream.", "A small child with an ice cream cone.")),
]


def test_the_mean_reward_of_one_sentence_a_picture_is_the_cider_of_the_set() -> None:
    said = ["A dog runs on grass.", "Two men play in a field.", "A dog eats an ice cream."]
    mean = Reward(ROWS)([0, 1, 2], said).mean()
    assert mean == pytest.approx(scores(said, ROWS)["cider"], abs=1e-3)


def test_a_sentence_is_worth_the_same_alone_and_among_others() -> None:
    reward = Reward(ROWS)
    assert reward([1], ["Two men play."])[0] == pytest.approx(reward([0, 1, 2], ["x", "Two men play.", "y"])[1])


def test_samples_end_with_the_end_token_and_padding_follows() -> None:
    torch.manual_seed(0)
    model = toy_model()
    ids = sample(model, torch.randn(3, 4, 256), 2)[..., :12]
    assert ids.shape[:2] == (3, 2)
    for row in ids.reshape(6, -1).tolist():
        if 2 in row:
            assert set(row[row.index(2) + 1 :]) <= {0}


def test_sampling_follows_the_models_probabilities() -> None:
    """The first token's frequencies over many samples, against the softmax of the logits."""
    torch.manual_seed(0)
    model = toy_model()
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.5)
    features = torch.randn(1, 4, 256)
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([[1]]), features=features).logits[0, -1].softmax(-1)
    drawn = sample(model, features, 3000)[0, :, 0]
    found = torch.bincount(drawn, minlength=50) / 3000
    assert (found - expected).abs().max() < 0.04


def test_a_step_along_the_gradient_makes_the_better_sample_likelier() -> None:
    torch.manual_seed(0)
    model = toy_model()
    model.vision.freeze()
    features = torch.randn(2, 4, 256)
    ids = torch.tensor([[[5, 6, 2], [7, 2, 0]], [[8, 9, 2], [10, 2, 0]]])
    advantage = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])

    def likelihood() -> np.ndarray:
        separate = torch.zeros(2, 2)
        for picture in range(2):
            for number in range(2):
                one = ids[picture : picture + 1, number : number + 1]
                count = (one != 0).sum()
                loss = loss_of(model, features[picture : picture + 1], one, torch.ones(1, 1))
                separate[picture, number] = -loss * count
        return separate.detach().numpy()

    before = likelihood()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    loss_of(model, features, ids, advantage).backward()
    optimizer.step()
    moved = likelihood() - before
    assert (np.sign(moved) == advantage.numpy()).all()

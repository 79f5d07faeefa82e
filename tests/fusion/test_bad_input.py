"""What goes wrong is said with the row or the tensor that it is about."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdemo.errors import InputError, WeightsError
from mmdemo.fusion import checkpoint
from mmdemo.fusion.learning import IGNORED, groups, loss_of, targets
from tests.fusion.chains import VISION, chain, model_of


@pytest.fixture
def folder(tmp_path):
    model_of(chain(vision_config=VISION["vit"], fusion="attention")).save_pretrained(tmp_path)
    return tmp_path


def changed(folder, change) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def test_a_whole_checkpoint_is_opened(folder) -> None:
    model, pixels = checkpoint.opened(folder), torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = model_of(chain(vision_config=VISION["vit"], fusion="attention"))(torch.tensor([[1]]), pixels).logits
        assert torch.equal(model(torch.tensor([[1]]), pixels).logits, expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("resampler.queries"), "is missing: 'resampler.queries'"),
        (lambda tensors: tensors.update(odd=torch.zeros(2)), "has no place: 'odd'"),
        (
            lambda tensors: tensors.update({"resampler.queries": torch.zeros(3, 32)}),
            "has a shape that its config does not say: 'resampler.queries'",
        ),
    ],
    ids=["missing", "extra", "shape"],
)
def test_a_tensor_that_does_not_fit_is_named(folder, change, said: str) -> None:
    changed(folder, change)
    with pytest.raises(WeightsError) as refused:
        checkpoint.opened(folder)
    assert said in str(refused.value)


def test_a_torn_checkpoint_and_none_at_all_are_told(folder, tmp_path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cannot be read as a fusion model"):
        checkpoint.opened(folder)
    with pytest.raises(WeightsError, match="cannot be read as a fusion model"):
        checkpoint.opened(tmp_path / "nowhere")


def test_a_row_that_makes_the_loss_no_number_is_named() -> None:
    model = model_of(chain(vision_config=VISION["vit"]))
    ids, labels = targets([[5, 6], [7]], 1, 2, 0)
    pixels = torch.randn(2, 3, 32, 32)
    pixels[1, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match=r"no number because of rows\.csv, row 8: look at that"):
        loss_of(model, ids, labels, ["rows.csv, row 7", "rows.csv, row 8"], pixel_values=pixels)


def test_weights_that_have_diverged_are_no_rows_fault() -> None:
    model = model_of(chain(vision_config=VISION["vit"]))
    with torch.no_grad():
        model.language_model.lm_head.weight.fill_(torch.inf)
    ids, labels = targets([[5, 6], [7]], 1, 2, 0)
    with pytest.raises(InputError, match="training has diverged; lower the learning rate"):
        loss_of(model, ids, labels, ["a", "b"], pixel_values=torch.randn(2, 3, 32, 32))


def test_targets_are_the_next_tokens_and_the_end() -> None:
    ids, labels = targets([[5, 6], [7]], 1, 2, 0)
    assert ids.tolist() == [[1, 5, 6], [1, 7, 0]]
    assert labels.tolist() == [[5, 6, 2], [7, 2, IGNORED]]


def test_ten_thousand_words_are_cut_without_an_end_and_none_at_all_are_an_end() -> None:
    ids, labels = targets([[5] * 10_000, []], 1, 2, 0, longest=8)
    assert ids.shape == (2, 8)
    assert labels[0].tolist() == [5] * 8
    assert labels[1].tolist() == [2] + [IGNORED] * 7


def test_biases_norms_and_gates_do_not_decay_and_frozen_weights_are_left_alone() -> None:
    model = model_of(chain("llama", vision_config=VISION["vit"], fusion="gated-cross-attention"))
    model.vision.freeze()
    decayed, free = groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1 and free["weight_decay"] == 0
    owned = {id(weight) for group in (decayed, free) for weight in group["params"]}
    assert id(model.gates[0].attention_gate) in {id(weight) for weight in free["params"]}
    assert not owned & {id(weight) for weight in model.vision.parameters()}
    assert owned == {id(weight) for weight in model.parameters() if weight.requires_grad}

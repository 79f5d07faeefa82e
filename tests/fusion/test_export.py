"""The OpenVINO graphs say what the model says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdemo import private_openvino
from mmdemo.errors import Unsupported
from mmdemo.fusion.export import export
from tests.fusion.chains import VISION, chain, model_of
from tests.fusion.toys import toy_model


@pytest.mark.parametrize(("fusion", "positions"), [("concat", 5), ("attention", 17), ("cross-attention", 1)])
def test_the_graphs_decode_word_for_word_what_generate_decodes(tmp_path, fusion: str, positions: int) -> None:
    model = toy_model(seed=1, fusion=fusion)
    export(model, tmp_path / "graphs")
    core = private_openvino.load().Core()
    prefill = core.compile_model(tmp_path / "graphs/prefill.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    step = core.compile_model(tmp_path / "graphs/step.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model.generate(
            pixel_values=pixels, max_new_tokens=6, min_new_tokens=6, do_sample=False, suppress_tokens=[2]
        )
    classes, logits, *state = prefill(pixels.numpy()).to_tuple()
    assert classes.shape == (3, 10) and state[0].shape == (3, 2, positions, 16)
    words = []
    for _ in range(6):
        logits = np.array(logits)
        logits[:, 2] = -np.inf
        words.append(logits.argmax(-1))
        logits, *grown = step([words[-1][:, None].astype(np.int64), *state]).to_tuple()
        state = [*grown, *state[len(grown) :]]
    assert np.stack(words, 1).tolist() == expected.tolist()


def test_an_export_that_is_there_already_is_left_alone(tmp_path) -> None:
    model = toy_model()
    export(model, tmp_path / "graphs")
    before = (tmp_path / "graphs/step.xml").stat().st_mtime_ns
    export(model, tmp_path / "graphs")
    assert (tmp_path / "graphs/step.xml").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["graphs"]


@pytest.mark.parametrize("parts", [{}, {"vision_config": VISION["vit"]}, {"fusion": "gated-cross-attention"}])
def test_a_chain_that_has_no_graphs_says_what_to_do(tmp_path, parts) -> None:
    with pytest.raises(Unsupported, match="run this one with torch"):
        export(model_of(chain(**parts)), tmp_path / "graphs")
    assert not list(tmp_path.iterdir())


def test_making_graphs_says_nothing_about_losses(tmp_path, caplog) -> None:
    from transformers.utils import logging

    said = logging.get_logger("transformers.modeling_utils")
    said.warning_once.__wrapped__  # noqa: B018  # it is kept by what was said: forget, so that it would be said again
    type(said).warning_once.cache_clear()
    root = logging.get_logger("transformers")
    before = root.level
    root.addHandler(caplog.handler)
    try:
        export(toy_model(), tmp_path / "graphs")
    finally:
        root.removeHandler(caplog.handler)
    assert caplog.messages == [] and root.level == before

"""The graph of a text encoder, of a tiny random one: made once, of these weights, and only if it is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Cancelled
from mmdemo.runtime import backends
from mmdemo.runtime.backends import embedder_graph
from mmdemo.runtime.backends.embedder import EmbedderBackend
from mmdemo.runtime.base import Load
from tests.runtime.backends import tiny_language

ROOT = Path(__file__).parents[3]
TEXTS = ["the dog runs", "the dog runs on the grass", ""]
TALE = """
import sys
from pathlib import Path
from mmdemo import catalog
from mmdemo.runtime import backends
from mmdemo.runtime.base import Load
row = catalog.get(sys.argv[1])
request = Load(row, {row.key: Path(sys.argv[1])}, "cpu", 1)
assert backends.estimate(request).weights > 0
assert backends.load(request).embed(["the dog runs"]).shape == (1, 32)
print([name for name in ("torch", "transformers", "openvino_telemetry") if sys.modules.get(name)])
"""


def encoder(folder: Path, kind: str = "bert") -> Load:
    """A random encoder of two layers, 32 wide, with a tokenizer that pads with another token than the first."""
    torchvision_ops.prepare()
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    tokenizer = tiny_language.tokenizer()
    config = {
        "bert": lambda: transformers.BertConfig(
            **sizes, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id
        ),
        "mpnet": lambda: transformers.MPNetConfig(**sizes, vocab_size=len(tokenizer)),
        "modernbert": lambda: transformers.ModernBertConfig(**sizes, vocab_size=len(tokenizer), pad_token_id=0),
    }[kind]()
    model = transformers.AutoModel.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    row = catalog.get(str(folder))
    return Load(row, {row.key: folder}, "cpu", 1)


@pytest.mark.parametrize("kind", ["bert", "mpnet", "modernbert"])
def test_the_vectors_are_those_of_torch_whatever_runs(kind: str, tmp_path: Path) -> None:
    request = encoder(tmp_path, kind)
    assert request.spec.backend == "embedder"
    right = EmbedderBackend(replace(request, quantization="fp32")).embed(TEXTS)
    for _ in range(2):  # made, and found again
        found = EmbedderBackend(request)
        assert type(found._encoder).__name__ == "OpenVinoEncoder", kind
        np.testing.assert_allclose(found.embed(TEXTS), right, atol=1e-4)


def test_a_graph_that_is_there_runs_without_torch(tmp_path: Path) -> None:
    backends.load(encoder(tmp_path)).close()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TALE, str(tmp_path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_weights_that_take_the_place_of_others_get_a_graph_of_their_own(tmp_path: Path) -> None:
    before = backends.load(encoder(tmp_path)).embed(TEXTS)
    request = encoder(tmp_path)
    assert not embedder_graph.kept(tmp_path)
    right = backends.load(replace(request, quantization="fp32")).embed(TEXTS)
    assert np.abs(before - right).max() > 0.01, "they are others"
    np.testing.assert_allclose(backends.load(request).embed(TEXTS), right, atol=1e-4)
    assert embedder_graph.kept(tmp_path)


def test_a_graph_that_would_read_other_tokens_is_not_kept_and_torch_runs(tmp_path: Path) -> None:
    request = encoder(tmp_path)
    settings = json.loads((tmp_path / "tokenizer.json").read_text())
    settings["post_processor"] = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 1}}],
                                  "pair": [], "special_tokens": {}}  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    (tmp_path / "tokenizer_config.json").unlink()  # and no token to pad with is named
    from mmdemo.runtime.backends.embedder_torch import TorchEncoder

    model = TorchEncoder(request)
    model._tokenizer.pad_token = "</s>"
    assert not embedder_graph.make(tmp_path, model)
    assert embedder_graph.is_refused(tmp_path)
    assert not list(tmp_path.glob("openvino/*.xml")), "only that it was tried is written down"
    assert backends.estimate(request).other == 0, "and it is not made again"


def test_a_folder_that_cannot_be_written_runs_in_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = encoder(tmp_path)

    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(embedder_graph.tempfile, "TemporaryDirectory", refused)
    found = EmbedderBackend(request)
    assert type(found._encoder).__name__ == "TorchEncoder"
    assert found.embed(TEXTS).shape == (3, 32)


def test_a_user_who_stops_leaves_no_half_graph(tmp_path: Path) -> None:
    request, steps = encoder(tmp_path), iter([False, False, False, True])
    with pytest.raises(Cancelled):
        EmbedderBackend(replace(request, cancelled=lambda: next(steps, True)))
    assert not list(tmp_path.glob("**/*.xml")) and not list(tmp_path.glob(".openvino-*"))

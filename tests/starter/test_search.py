"""The shipped towers as a user gets them, and how they are made from a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from mmdemo import catalog
from mmdemo.fusion.aligned import Aligned
from mmdemo.fusion.retrieval import ranks
from mmdemo.results import Nearness
from mmdemo.starter.captions import read
from mmdemo.starter.search import ship
from mmdemo.studio import Studio
from tests.fusion.chains import READER, VISION
from tests.fusion.synthetic import TOKENIZER

ASSETS = Path("assets/samples")


@pytest.mark.weights
def test_each_sentence_finds_its_sample() -> None:
    files = [ASSETS / name for name in ("astronaut.jpg", "coffee.jpg", "tripod.jpg")]
    texts = "a woman in an orange suit\nfood on a plate\na man with a camera outside"
    studio = Studio()
    found = [one for one in studio.run("align", files, {"texts": texts}) if isinstance(one, Nearness)]
    studio.close()
    scores = np.array([one.scores for one in found])
    assert scores.argmax(0).tolist() == [0, 1, 2]


@pytest.mark.weights
@pytest.mark.data
def test_a_sentence_finds_its_picture_among_hundreds_that_nobody_learned_from(data: Path) -> None:
    rows = read(data / "flickr8k", "val")[:200]
    texts = [row.captions[0] for row in rows]
    studio = Studio()
    given = studio.run("align", [row.file for row in rows], {"texts": "\n".join(texts)})
    scores = np.array([one.scores for one in given if isinstance(one, Nearness)])
    studio.close()
    assert scores.shape == (200, 200)
    _, places = ranks(scores, np.eye(200, dtype=bool))
    assert (places < 10).mean() > 0.6


def test_a_finished_run_is_shipped_without_its_encoders(tmp_path: Path) -> None:
    seen, read_by = tmp_path / "seen", tmp_path / "read"
    reader = type(READER)(**READER.to_dict() | {"vocab_size": len(TOKENIZER)})
    for folder, config in ((seen, VISION["vit"]), (read_by, reader)):
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    TOKENIZER.save_pretrained(read_by)
    run, out = tmp_path / "run", tmp_path / "out"
    Aligned.begun(seen, read_by, size=16).save(run / "model")
    scores = {"metrics": {"mean_recall": 0.5}, "intervals": {"mean_recall": [0.4, 0.6]}}
    (run / "run.json").write_text(json.dumps({"task": "text-image-retrieval", "data": "/home/me/pictures"}))
    (run / "report.json").write_text(json.dumps({"rows": 9, "before": scores, "after": scores}))
    ship(run, out)
    assert len(load_file(out / "model.safetensors")) == 6
    record = json.loads((out / "training.json").read_text("utf-8"))
    assert record["recipe"]["data"] == "pictures" and record["after"] == scores and record["rows"] == 9


def test_the_row_of_the_catalog_names_both_encoders() -> None:
    row = catalog.get("starter-search")
    assert row.parts == ("efficientnet-lite2", "all-minilm-l6-v2") and row.starter

"""The starter describer on real weights: through OpenVINO and through torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo import catalog
from mmdemo.errors import Cancelled
from mmdemo.runtime import backends
from mmdemo.runtime.backends import fusion, fusion_prefills
from mmdemo.runtime.backends.fusion import FusionBackend
from mmdemo.runtime.backends.fusion_engines import OpenVinoEngine, TorchEngine
from mmdemo.runtime.backends.labels import LabelsBackend
from mmdemo.runtime.base import Load, Seen
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def folders() -> dict[str, Path]:
    settings = Settings.load()
    keys = ("starter-describer", "efficientnet-lite2")
    return {key: fetch(catalog.get(key), settings, lambda progress: None, lambda: False) for key in keys}


@pytest.fixture(scope="module")
def backend(folders) -> FusionBackend:
    return FusionBackend(Load(catalog.get("starter-describer"), folders, "cpu", 2))


@pytest.fixture(scope="module")
def photos(data) -> list[tuple[Image.Image, list[str]]]:
    rows = [json.loads(line) for line in (data / "flickr8k/metadata.jsonl").read_text().splitlines()]
    held_out = [row for row in rows if row["split"] == "val"][:24]
    return [(Image.open(data / "flickr8k" / row["file"]).convert("RGB"), row["captions"]) for row in held_out]


def last(seen: list[Seen]) -> list[str]:
    return [item.text for item in sorted((s for s in seen if s.done), key=lambda s: s.index)]


def forget(backend: FusionBackend) -> None:
    """Let the next picture be read, whatever was read before."""
    backend._prefills = fusion_prefills.Prefills(backend._engine)


def test_a_batch_says_what_one_picture_at_a_time_says(backend, photos) -> None:
    images = [image for image, _ in photos[:6]]
    together = last(list(backend.describe(images, style="sentence", question="", max_words=40)))
    apart = []
    for image in images:
        forget(backend)
        apart += last(list(backend.describe([image], style="sentence", question="", max_words=40)))
    assert together == apart
    assert len(set(together)) >= 4


def test_openvino_says_what_torch_says(backend, folders, photos, monkeypatch) -> None:
    import torch
    from transformers import GenerationConfig

    from mmdemo.fusion.checkpoint import assemble
    from mmdemo.fusion.pixels import pixels

    images = [image for image, _ in photos[:8]]
    model = assemble(folders["starter-describer"], folders["efficientnet-lite2"])
    vision = model.config.vision_config
    batch = pixels(images, vision.image_size, vision.image_mean, vision.image_std)
    search = GenerationConfig.from_pretrained(folders["starter-describer"])
    assert search.num_beams == 3 and search.no_repeat_ngram_size == 2
    ids = model.generate(
        pixel_values=torch.from_numpy(batch), max_new_tokens=40, do_sample=False,
        num_beams=search.num_beams, no_repeat_ngram_size=search.no_repeat_ngram_size,
    )  # fmt: skip
    expected = [text.strip() for text in backend._tokenizer.decode_batch(ids.tolist())]
    forget(backend)
    monkeypatch.setattr(backend, "_names", None)  # the sentences as they are decoded
    said = last(list(backend.describe(images, style="sentence", question="", max_words=40)))
    assert said == expected


def test_the_sentences_share_words_with_what_people_said(backend, photos) -> None:
    from mmdemo.starter.captions import Row, scores

    images = [image for image, _ in photos]
    rows = [Row(Path(str(i)), tuple(captions)) for i, (_, captions) in enumerate(photos)]
    said = last(list(backend.describe(images, style="sentence", question="", max_words=40)))
    shuffled = said[1:] + said[:1]
    assert scores(said, rows)["cider"] > 3 * scores(shuffled, rows)["cider"]


def test_a_sentence_begins_with_a_capital_ends_with_a_stop_and_grows(backend, photos) -> None:
    seen = list(backend.describe([photos[0][0]], style="sentence", question="", max_words=40))
    assert len(seen) > 4 and len(seen[0].text) < len(seen[-1].text)  # a better beam may revise earlier words
    assert seen[-1].done and seen[-1].text[0].isupper() and seen[-1].text.endswith(".")
    assert [item.done for item in seen].count(True) == 1


def test_labels_are_probabilities_of_known_things(backend, photos) -> None:
    seen = next(iter(backend.describe([photos[0][0]], style="tags", question="", max_words=40)))
    probabilities = [label.probability for label in seen.labels]
    assert probabilities == sorted(probabilities, reverse=True) and 0 < sum(probabilities) <= 1.001
    assert seen.done and seen.text.split(", ")[0] == seen.labels[0].name


def test_the_encoder_recognises_the_dogs_that_people_wrote_about(folders, data) -> None:
    """Of photos whose five captions all speak of a dog, most are given a dog's label among the first five."""
    backend = LabelsBackend(Load(catalog.get("efficientnet-lite2"), folders, "cpu", 2))
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    dogs = {
        info.index_to_description(index).split(",")[0] for index in range(151, 269)
    }  # ImageNet's dogs are one block
    rows = [json.loads(line) for line in (data / "flickr8k/metadata.jsonl").read_text().splitlines()]
    chosen = [row for row in rows if all("dog" in caption.lower() for caption in row["captions"])][:12]
    images = [Image.open(data / "flickr8k" / row["file"]).convert("RGB") for row in chosen]
    seen = list(backend.describe(images, style="tags", question="", max_words=5))
    named = [any(label.name in dogs for label in item.labels[:5]) for item in seen]
    assert sum(named) >= 11
    backend.close()


def test_the_engines_give_the_same_logits(backend, folders) -> None:
    torch_engine = TorchEngine(folders["starter-describer"], folders["efficientnet-lite2"], "cpu")
    batch = np.random.default_rng(0).normal(size=(2, 3, 260, 260)).astype(np.float32)
    classes, logits, state = backend._engine.prefill(batch)
    expected_classes, expected, expected_state = torch_engine.prefill(batch)
    assert np.allclose(classes, expected_classes, atol=1e-3) and np.allclose(logits, expected, atol=1e-3)
    for engine, whole in ((backend._engine, state), (torch_engine, expected_state)):
        again = engine.join([engine.select(whole, [row]) for row in range(2)])
        assert all(np.array_equal(one, other) for one, other in zip(again, whole, strict=True))
    rows = [1]
    token = logits.argmax(-1)[rows]
    after, _ = backend._engine.step(token, backend._engine.select(state, rows))
    expected_after, _ = torch_engine.step(token, torch_engine.select(expected_state, rows))
    assert np.allclose(after, expected_after, atol=1e-3)


def test_a_second_style_or_try_reads_the_picture_no_more(backend, photos, monkeypatch) -> None:
    forget(backend)
    images = [image for image, _ in photos[8:12]]
    told = {"style": "sentence", "question": "", "max_words": 40}
    first = last(list(backend.describe(images, **told)))
    read: list[int] = []
    prefill = backend._engine.prefill
    monkeypatch.setattr(backend._engine, "prefill", lambda batch: read.append(len(batch)) or prefill(batch))
    assert last(list(backend.describe(images, **told))) == first
    assert last(list(backend.describe(images[::-1], **told))) == first[::-1]
    tags = list(backend.describe(images, style="tags", question="", max_words=40))
    assert [item.text.split(", ")[0] for item in tags] == [item.labels[0].name for item in tags]
    assert read == []
    assert last(list(backend.describe([images[0], photos[12][0]], **told)))[0] == first[0]
    assert read == [1], "only the new one"


def test_its_size_counts_weights_as_float32_and_no_old_graphs(folders, backend, tmp_path) -> None:
    from safetensors import safe_open

    spec = catalog.get("starter-describer")
    request = Load(spec, folders, "cpu", 2)
    with safe_open(folders[spec.key] / "model.safetensors", framework="np") as weights:
        sizes = {name: weights.get_tensor(name).size for name in weights.keys()}  # noqa: SIM118  # it is no dict
    numbers = sum(sizes.values())
    words = numbers - sum(
        size for name, size in sizes.items() if "projector" in name or "crossattention.c_attn" in name
    )
    encoder = (folders["efficientnet-lite2"] / "encoder.safetensors").stat().st_size
    beside = 24_666_229 if (folders["efficientnet-lite2"] / "efficientnet-lite2.pth").exists() else encoder
    beside = max(encoder, beside)
    rest = fusion.WORKING + fusion.LIBRARY + fusion_prefills.KEPT
    known = backends.estimate(request)
    assert known.weights == 2 * (beside + 4 * numbers + 4 * words)
    assert known.total == known.weights + beside + 4 * numbers + rest
    alone = tmp_path / "eye"
    alone.mkdir()
    (alone / "encoder.safetensors").symlink_to(folders["efficientnet-lite2"] / "encoder.safetensors")
    (alone / "openvino-old").mkdir()
    (alone / "openvino-old" / "prefill.bin").write_bytes(bytes(5_000_000))
    unmade = backends.estimate(Load(spec, folders | {"efficientnet-lite2": alone}, "cpu", 2)).total
    assert unmade == 3 * (encoder + 4 * numbers) + 8 * words + rest + fusion.EXPORTING
    assert (
        backends.estimate(Load(catalog.get("efficientnet-lite2"), {"efficientnet-lite2": alone}, "cpu", 2)).weights
        == encoder
    )


def test_loading_stops_before_it_begins_and_is_kept_once_it_has_ended(folders, monkeypatch) -> None:
    spec = catalog.get("starter-describer")
    with pytest.raises(Cancelled, match=r"Loading .* was stopped"):
        FusionBackend(Load(spec, folders, "cpu", 2, lambda: True))
    with pytest.raises(Cancelled, match=r"Loading .* was stopped"):
        LabelsBackend(Load(catalog.get("efficientnet-lite2"), folders, "cpu", 2, lambda: True))
    stopped: list[bool] = []
    original = OpenVinoEngine.__init__

    def finished(self, *given) -> None:
        original(self, *given)
        stopped.append(True)

    monkeypatch.setattr(OpenVinoEngine, "__init__", finished)
    made = FusionBackend(Load(spec, folders, "cpu", 2, lambda: bool(stopped)))
    assert stopped == [True]
    made.close()

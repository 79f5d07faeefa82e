"""The starter describer, against the same weights in a plain loop: torch, eager, float32, one picture at a time.

Both read the same files from disk and write sentences with the same search; both have loaded and warmed up before the
clock starts. What the product says of pictures unlike those it learned from is a rule on the class logits: it is
applied to the plain loop's sentences after its clock has stopped.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.table import Row, at_least
from mmdemo.studio import Studio

DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "flickr8k"
PICTURES = 200
REPEATS = 3
MAX_WORDS = 60
KEY = "starter-describer"


def pictures(count: int = PICTURES) -> list[Path]:
    """The first pictures of the validation split.

    Raises:
        FileNotFoundError: without the data.
    """
    rows = [json.loads(line) for line in (DATA / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    files = [DATA / row["file"] for row in rows if row["split"] == "val"][:count]
    if len(files) < count:
        raise FileNotFoundError(f"{DATA} has {len(files)} validation pictures, and {count} are needed")
    return files


def through_studio(studio: Studio, files: Sequence[Path], labels: int) -> list[str]:
    """The product's sentences, in the order of the files."""
    from mmdemo.results import Description

    options = {"model": KEY, "read_text": "no", "labels": labels, "max_words": MAX_WORDS}
    said = {
        event.file: event.text
        for event in studio.run("describe", files, options)
        if isinstance(event, Description) and event.done
    }
    return [said[str(file)] if str(file) in said else said[file.name] for file in files]


def plain_loop(studio: Studio) -> Callable[[Sequence[Path]], list[str]]:
    """The reference: the same checkpoint, assembled with transformers, `generate` for one picture after the other."""
    import torch
    from PIL import Image
    from transformers import AutoTokenizer, GenerationConfig

    from mmdemo import catalog
    from mmdemo.fusion.checkpoint import assemble
    from mmdemo.fusion.pixels import pixels
    from mmdemo.fusion.processing import sentence

    folder, encoder = (studio.manager.fetch(key) for key in (KEY, *catalog.get(KEY).parts))
    model, tokenizer = assemble(folder, encoder), AutoTokenizer.from_pretrained(folder)
    vision = model.config.vision_config
    said = GenerationConfig.from_pretrained(folder)

    def one(file: Path) -> str:
        values = pixels([Image.open(file)], vision.image_size, vision.image_mean, vision.image_std)
        ids = model.generate(
            pixel_values=torch.from_numpy(values),
            do_sample=False,
            num_beams=said.num_beams or 1,
            no_repeat_ngram_size=said.no_repeat_ngram_size or 0,
            max_new_tokens=MAX_WORDS,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        return sentence(tokenizer.decode(ids[0], skip_special_tokens=True))

    return lambda files: [one(file) for file in files]


def named(studio: Studio, files: Sequence[Path], sentences: Sequence[str]) -> list[str]:
    """The sentences as the product lets them stand: those of unfamiliar pictures are made of labels."""
    import torch
    from PIL import Image

    from mmdemo import catalog
    from mmdemo.fusion.checkpoint import load_encoder
    from mmdemo.fusion.config import FusionVisionConfig
    from mmdemo.fusion.pixels import pixels
    from mmdemo.runtime.backends.naming import Names

    folder, place = (studio.manager.fetch(key) for key in (KEY, *catalog.get(KEY).parts))
    names, encoder, vision = Names.of(folder), load_encoder(place), FusionVisionConfig()
    assert names
    found = []
    for file, said in zip(files, sentences, strict=True):
        values = pixels([Image.open(file)], vision.image_size, vision.image_mean, vision.image_std)
        with torch.inference_mode():
            logits = encoder(torch.from_numpy(values))[1].numpy()
        stands = not names.unfamiliar(logits)[0] or names.supports(logits[0], said)
        found.append(said if stands else names.sentence(logits[0]))
    return found


def timed(function: Callable[[], list[str]]) -> tuple[list[str], float]:
    """What `function` returns, and its seconds."""
    begun = time.perf_counter()
    found = function()
    return found, time.perf_counter() - begun


def run() -> list[Row]:
    """Speed against the plain loop, share of same sentences, pictures a second."""
    files = pictures()
    studio = Studio()
    reference = plain_loop(studio)
    reference(files[:4])
    through_studio(studio, files[:32], 5)
    seconds: dict[int, list[float]] = {0: [], 5: []}
    said: dict[int, list[str]] = {}
    slow: list[float] = []
    for repeat in range(REPEATS):
        for labels, times in seconds.items():
            said[labels], took = timed(lambda labels=labels: through_studio(studio, files, labels))
            times.append(took)
        if repeat < 2:  # it is slow, and steady
            expected, took = timed(lambda: reference(files))
            slow.append(took)
        print(f"  repeat {repeat + 1}: ours {seconds}, plain {slow}", file=sys.stderr, flush=True)
    expected = named(studio, files, expected)
    studio.close()
    plain = statistics.median(slow)
    rows: list[Row] = []
    for labels, times in seconds.items():
        ours = statistics.median(times)
        rate, what = len(files) / ours, f"describe {len(files)} pictures, {labels} labels"
        same = sum(a == b for a, b in zip(said[labels], expected, strict=True)) / len(files)
        rows += [
            at_least(what, f"{rate:.1f} pictures/s", f"{len(files) / plain:.1f} pictures/s", plain / ours, 5),
            Row(f"{what}: speed", f"{rate:.1f} pictures/s", "–", None, "at least 20 pictures/s", rate >= 20),
            Row(f"{what}: same sentence", f"{same:.1%}", "–", None, "at least 95 %", same >= 0.95),
        ]
    return rows

"""How the captions of the starter's data are read, and how a sentence is scored against them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdemo.fusion.processing import sentence


@dataclass(frozen=True)
class Row:
    """One picture and what several people said of it."""

    file: Path
    captions: tuple[str, ...]


def read(folder: Path, split: str) -> list[Row]:
    """The rows of one split of a folder with a `metadata.jsonl` (`file`, `split`, `captions`)."""
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == split]
    return [Row(folder / row["file"], tuple(filter(None, map(sentence, row["captions"])))) for row in rows]


def words(text: str) -> str:
    """Lower-case words without punctuation, as the COCO caption scores count them."""
    return " ".join(re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower()))


def scores(sentences: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """CIDEr-D (arXiv:1411.5726) and BLEU-4 of one sentence a row against the row's captions."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider

    results = {index: [words(text)] for index, text in enumerate(sentences)}
    references = {index: [words(text) for text in row.captions] for index, row in enumerate(rows)}
    cider, _ = Cider().compute_score(references, results)
    bleu, _ = Bleu(4).compute_score(references, results, verbose=0)
    return {"cider": round(float(cider), 4), "bleu4": round(float(bleu[3]), 4)}

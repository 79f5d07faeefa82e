"""Retrieval: two towers learn which sentence belongs to which picture or recording. Their encoders look once."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, Unsupported
from mmdemo.fusion.aligned import Aligned
from mmdemo.fusion.encoders import fingerprint
from mmdemo.fusion.retrieval import ranks
from mmdemo.fusion.spread import spread
from mmdemo.training import metrics, models
from mmdemo.training.features import Features
from mmdemo.training.recipes import hearing
from mmdemo.training.recipes.base import Batch, Example, Given, Recipe
from mmdemo.training.recipes.seeing import picture

READER = "all-minilm-l6-v2"
"""The key of the encoder of the sentences."""
TOWERS = "mmdemo_siamese"
ANSWER = re.compile(r"rank (\d+) of \d+ · ranks ([\d, ]+) of \d+ · (.*)", re.DOTALL)
Floats = NDArray[np.float32]


class Retrieval(Recipe):
    """A `SiameseModel`: both encoders stay as they are, the projectors and the temperature are learned.

    A batch is contrasted with itself, so a step that memory cuts into smaller ones is an easier question: rows of a
    step should be computed at once, which features allow.
    """

    metric = "mean_recall"
    methods = {"head": 1e-3}  # noqa: RUF012  # read only
    step_rows = 128
    epochs = 20
    side: ClassVar[int] = 0

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self.again = False
        self.towers = self._opened()
        model = self.towers.model
        model.requires_grad_(False)
        model.media_projector.requires_grad_(True)
        model.text_projector.requires_grad_(True)
        model.scale.requires_grad_(True)
        model.bias.requires_grad_(model.config.loss == "siglip")  # a softmax does not see it
        self.model = model.to(given.device).eval()
        names = [fingerprint(model.media)[:16], fingerprint(model.text)[:16]]
        self.media = Features(given.settings, f"mean {names[0]}", self._looked, np.float32)
        self.words = Features(given.settings, f"mean {names[1]}", self._read, np.float32)
        self.moved: dict[str, tuple[Tensor, Tensor]] = {}

    def _opened(self) -> Aligned:
        """The towers that have learned, or fresh projectors on frozen encoders."""
        base = self.given.base
        about = base.folder / "config.json"
        found = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
        self.again = found.get("model_type") == TOWERS and not found.get("fresh")
        if found.get("model_type") == TOWERS:
            return Aligned.joined(base.folder, *base.parts.values()) if base.parts else Aligned.load(base.folder)
        if not self.given.learning:
            raise InputError(
                f"{base.spec.title} has not learned what belongs together: train it first, and give the folder of that "
                "run."
            )
        self._fits(found)
        reader = models.base_of(READER, self.given.settings)
        return Aligned.begun(base.folder, reader.folder, loss=self.options.contrastive)

    @abstractmethod
    def _fits(self, config: dict[str, Any]) -> None:
        """Refuse a model that is no encoder of such media."""

    @abstractmethod
    def _medium(self, row: Row) -> Any:
        """What the encoder is given of a row."""

    @staticmethod
    def target(row: Row) -> str:
        """The row's sentences."""
        return " / ".join(texts(row))

    def size(self, row: Row) -> int:
        """All take the same."""
        return 1

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Look at every medium and read every sentence once; then learn how what came of it spreads.

        Means over half a minute, or over all words, are near one another: what is learned from is standardised.
        """
        self.media.prepare(rows, progress)
        self.words.prepare([one for row in rows for one in spoken(row)], lambda done, total: None)
        if self.given.learning:
            told = [one for row in self.given.rows for one in spoken(row)]
            self._standardise("media", self.media.many(self.given.rows))
            self._standardise("text", self.words.many(told))

    def _standardise(self, side: str, features: Any) -> None:
        shift, scale = map(torch.from_numpy, spread(np.stack(list(features))))
        self.moved[side] = (shift, scale)
        if self.again:  # what it was told before it is to be told in the new measure
            first = self._first(side)
            with torch.no_grad():
                first.bias.add_(first.weight @ shift.to(first.weight.device))
                first.weight.mul_(scale.to(first.weight.device))

    def _first(self, side: str) -> Any:
        """The first matrix of a side's projector."""
        projector = getattr(self.model, f"{side}_projector")
        return projector if isinstance(projector, nn.Linear) else projector[0]

    def _looked(self, rows: Sequence[Row]) -> Floats:
        return self.towers.media_features([self._medium(row) for row in rows])

    def _read(self, rows: Sequence[Row]) -> Floats:
        return self.towers.text_features([row.text for row in rows])

    def encode(self, row: Row) -> Example:
        """Features of the medium and of one of its sentences; which one changes with the random numbers of the step."""
        told = spoken(row)
        return {"features": self.media(row), "text": self.words(told[int(torch.randint(len(told), ()))])}

    def _moved(self, side: str, features: Sequence[Any]) -> Tensor:
        """(rows, 1, channels), standardised."""
        stacked = torch.from_numpy(np.stack(features))
        if side in self.moved:
            stacked = (stacked - self.moved[side][0]) / self.moved[side][1]
        return stacked[:, None]

    def collate(self, examples: Sequence[Example]) -> Batch:
        """features and text_features, (rows, 1, channels)."""
        return {
            "features": self._moved("media", [one["features"] for one in examples]),
            "text_features": self._moved("text", [one["text"] for one in examples]),
        }

    def count(self, batch: Batch) -> int:
        """Rows."""
        return len(batch["features"])

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """InfoNCE or the loss of SigLIP, times the rows."""
        found: Tensor = model(**batch)["loss"]
        return found * len(batch["features"])

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """Of each row the rank of its sentences among all, that of its medium for each of them, the nearest sentence.

        `rank 2 of 40 · ranks 1, 5 of 8 · A dog runs.`: the same medium, and the same sentence, counts once.
        """
        if not rows:
            return []
        media = {row.content: row for row in rows}
        told = list(dict.fromkeys(text for row in rows for text in texts(row)))
        spots = ({one: place for place, one in enumerate(media)}, {one: place for place, one in enumerate(told)})
        model: Any = self.model
        left = self._embed("media", self.media.many(list(media.values())), model.embed_media, "features")
        right = self._embed("text", self.words.many([as_row(text) for text in told]), model.embed_text, "text_features")
        scores = left @ right.T
        belong = np.zeros(scores.shape, bool)
        for row in rows:
            belong[spots[0][row.content], [spots[1][text] for text in texts(row)]] = True
        ahead, before = ranks(scores, belong)
        answers = []
        for row in rows:
            place, own = spots[0][row.content], [spots[1][text] for text in texts(row)]
            theirs = ", ".join(str(before[one] + 1) for one in own)
            best = told[int(scores[place].argmax())]
            answers.append(f"rank {ahead[place] + 1} of {len(told)} · ranks {theirs} of {len(media)} · {best}")
        return answers

    def _embed(self, side: str, features: Any, embed: Callable[..., Tensor], name: str) -> Floats:
        moved = self._moved(side, list(features)).to(self.given.device)
        found: Floats = embed(**{name: moved}).cpu().numpy()
        return found

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """Recall@1, 5 and 10 both ways, and their mean."""
        found = [ANSWER.fullmatch(answer) for answer in answers]
        far = 10**9
        return metrics.retrieval(
            [(int(one[1]), [int(rank) for rank in one[2].split(", ")]) if one else (far, [far]) for one in found]
        )

    def save(self, folder: Path) -> None:
        """Both towers whole, as `AutoModel` opens them, with the tokenizer; the projectors take in the standardisation.

        W (x − m) / s + b = (W / s) x + (b − W m / s).
        """
        with torch.no_grad():
            for side, (shift, scale) in self.moved.items():
                first = self._first(side)
                first.weight.div_(scale.to(first.weight.device))
                first.bias.sub_(first.weight @ shift.to(first.weight.device))
        self.moved = {}
        self.towers.model.config.fresh = False
        self.towers.save(folder)


class PictureRetrieval(Retrieval):
    """Pictures and sentences: EfficientNet-Lite2, or any encoder of pictures given as a folder."""

    starter = "efficientnet-lite2"

    @staticmethod
    def lacks(row: Row) -> str:
        """A picture and a sentence."""
        return "a picture" if row.image is None else "" if texts(row) else "a sentence about it"

    def _fits(self, config: dict[str, Any]) -> None:
        if self.given.base.spec.tasks and self.given.base.spec.backend != "labels":
            raise Unsupported(
                f"{self.given.base.spec.title} is no encoder of pictures: choose EfficientNet-Lite2, or the folder of "
                "a vision encoder."
            )

    def _medium(self, row: Row) -> Any:
        config: Any = self.towers.model.config.media_config
        return picture(row, self.given.settings, getattr(config, "image_size", 64))


class SoundRetrieval(Retrieval):
    """Recordings and sentences: Whisper's encoder."""

    starter = "whisper-base"

    @staticmethod
    def lacks(row: Row) -> str:
        """A recording and a sentence."""
        return "a recording" if not (row.audio or row.video) else "" if texts(row) else "a sentence about it"

    def _fits(self, config: dict[str, Any]) -> None:
        if config.get("model_type") != "whisper":
            raise Unsupported(f"{self.given.base.spec.title} is no Whisper model: choose one, its encoder hears here.")

    def _medium(self, row: Row) -> Any:
        return hearing.samples(row, self.given.settings)


def texts(row: Row) -> tuple[str, ...]:
    """The sentences that belong to a row's medium."""
    return tuple(text for text in row.targets or (row.text,) if text.strip())


def as_row(text: str) -> Row:
    """A sentence as a row, under whose content its features are kept."""
    return Row("", text=text)


def spoken(row: Row) -> list[Row]:
    """The sentences of a row as rows."""
    return [as_row(text) for text in texts(row)]

"""What all chains learn alike: to write what a caption says of a picture, a video or a sound.

What a frozen encoder makes of a row is computed once; an encoder that learns reads values that are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, Unsupported
from mmdemo.fusion import checkpoint, reading
from mmdemo.fusion.compose import with_lora
from mmdemo.fusion.model import FusionModel
from mmdemo.training import metrics, models
from mmdemo.training.features import Features
from mmdemo.training.recipes import seeing
from mmdemo.training.recipes.base import IGNORED, Batch, Example, Given, Recipe, cross_entropy, padded

LONGEST = 40
AT_ONCE = 50
GENERATION, READER = "generation_config.json", "reader"
FRESH_RATES = {"transformer": 1e-3, "lstm": 2e-3}
"""Learning rates of a whole chain whose language model knows nothing yet."""
VALUES = {"vision": "pixel_values", "audio": "audio_values"}
"""What an encoder that learns is given by, as an argument of the model."""


class Chained(Recipe):
    """A fusion checkpoint: what stands between its encoders and its language model learns, and as the method says the
    language model or adapters in it."""

    starter = "starter-describer"
    metric = "cider"
    methods = {"full": 3e-4, "lora": 1e-3, "head": 5e-4}  # noqa: RUF012  # read only
    epochs = 10

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        from transformers import AutoTokenizer

        base = given.base
        if base.spec.backend not in ("fusion", "chain"):
            raise Unsupported(
                f"{base.spec.title} cannot be trained to describe here: choose the starter describer, or a chain that "
                "was composed."
            )
        self.composed = base.spec.backend == "chain"
        fusion = checkpoint.opened(base.folder) if self.composed else checkpoint.assemble(base.folder, self._eye())
        models.drop_out(fusion.config.text_config, self.options.dropout)
        self.fusion: FusionModel = fusion.to(given.device)
        self.config = fusion.config
        made = self.config.encoders or {}
        if not self.composed:
            made = {"vision": f"{self.config.vision_config.architecture} of {base.spec.parts[0]}"}
        # without a gradient through them their features stay what they are
        self.frozen = {name for name in made if self.options.frozen_encoder or not self.composed or name == "text"}
        self.model: Any = self._learning(fusion)
        self.tokenizer: Any = models.processor(AutoTokenizer, base)
        self.reader: Any = AutoTokenizer.from_pretrained(base.folder / READER) if "text" in made else None
        found = base.folder / GENERATION
        search = json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}
        self.search = {name: search[name] for name in ("num_beams", "no_repeat_ngram_size") if name in search}
        self.kept = {
            modality: self._features(modality, made.get(modality, ""))
            for modality in self.config.modalities
            if modality != "text"
        }

    def _eye(self) -> Path:
        return self.given.base.parts[self.given.base.spec.parts[0]]

    def _learning(self, fusion: FusionModel) -> Any:
        """The model with what the method trains unfrozen."""
        for modality in self.config.modalities:
            network = getattr(fusion, modality)
            network.freeze() if modality in self.frozen else network.requires_grad_(True)
        options, live = self.options, [name for name in self.config.modalities if name not in self.frozen]
        if self.given.learning and options.method == "lora":
            return with_lora(fusion, options.lora_rank, options.lora_alpha, max(0.0, options.dropout), live).eval()
        if self.given.learning and options.method == "head":
            fusion.language_model.requires_grad_(False)
        return fusion

    @property
    def rate(self) -> float:
        """Higher where a language model is learned from nothing."""
        language = (self.config.parts or {}).get("language", "") if self.config.fresh else ""
        return FRESH_RATES.get(language, super().rate) if self.options.method == "full" else super().rate

    @staticmethod
    def usual(model: Path) -> str:
        """The method that the chain in a folder was composed for; empty if that says nothing."""
        try:
            return str(json.loads((model / "config.json").read_text(encoding="utf-8")).get("tuning", ""))
        except (OSError, ValueError):
            return ""

    @staticmethod
    def _captioned(row: Row) -> bool:
        return any(text.strip() for text in row.targets)

    @staticmethod
    def target(row: Row) -> str:
        """The preferred caption."""
        return next((text for text in row.targets if text.strip()), "")

    def size(self, row: Row) -> int:
        """Letters of the caption."""
        return len(self.target(row))

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Look at every picture and listen to every recording once.

        Raises:
            InputError: naming the row whose media cannot be read, or that has nothing the chain reads.
        """
        longest = self.options.max_length or LONGEST
        long = [row.origin for row in rows if max((len(text.split()) for text in row.targets), default=0) > longest]
        if long:
            self.given.note(
                f"{len(long)} captions are longer than {longest} tokens: only their beginnings are learned (the first: "
                f"{long[0]})."
            )
        for row in rows:
            if not any(self._has(row, modality) for modality in self.config.modalities):
                raise InputError(f"{row.origin} has nothing that this chain reads: choose a chain for what it has.")
        for modality, features in self.kept.items():
            features.prepare([row for row in rows if self._has(row, modality)], progress)

    def _has(self, row: Row, modality: str) -> bool:
        if modality == "text":
            return bool(row.text.strip())
        return seeing.sees(row) if modality == "vision" else seeing.hears(row, self.given.settings)

    def _features(self, modality: str, made_by: str) -> Features:
        """What is kept of a modality: features of a frozen encoder, else what the encoder reads."""
        looks = reading.looks(modality, self.config)
        frozen = modality in self.frozen

        def encode(rows: Sequence[Row]) -> NDArray[np.float32]:
            values = np.stack([seeing.values(row, modality, self.config, self.given.settings) for row in rows])
            if not frozen:
                return values
            with torch.inference_mode():
                given = torch.from_numpy(values).to(self.given.device)
                found: NDArray[np.float32] = self.fusion.encoded(modality, given).float().cpu().numpy()
            return found

        return Features(self.given.settings, f"{made_by if frozen else 'values'} {looks}", encode)

    def encode(self, row: Row) -> Example:
        """A caption as tokens, with begin and end; which of several changes with the random numbers of the step.

        A caption that is too long is cut, and has no end to learn then.
        """
        captions = [text for text in row.targets if text.strip()]
        text = captions[int(torch.randint(len(captions), ()))].strip()
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        about = self.config.text_config
        longest = self.options.max_length or LONGEST
        whole = [about.bos_token_id, *ids, about.eos_token_id] if len(ids) <= longest else None
        found: Example = {"ids": whole or [about.bos_token_id, *ids[:longest]]}
        return found | self._seen(row)

    def _seen(self, row: Row) -> Example:
        """What the chain is given of a row."""
        found: Example = {
            modality: features(row) for modality, features in self.kept.items() if self._has(row, modality)
        }
        if self.reader is not None:
            found["text"] = self.reader(row.text, truncation=True, max_length=128)["input_ids"]
        return found

    def collate(self, examples: Sequence[Example]) -> Batch:
        """By modality features or values, (rows, …), with `…_mask`, (rows), where some have none; input_ids,
        attention_mask and labels, (rows, length)."""
        lists = [one["ids"] for one in examples]
        pad = self.config.text_config.pad_token_id or 0
        return {
            **self._stacked(examples),
            "input_ids": padded([ids[:-1] for ids in lists], pad),
            "attention_mask": padded([[1] * (len(ids) - 1) for ids in lists], 0),
            "labels": padded([ids[1:] for ids in lists], IGNORED),
        }

    def _stacked(self, examples: Sequence[Example]) -> Batch:
        batch: Batch = {}
        for modality in self.kept:
            there = [one[modality] for one in examples if modality in one]
            if not there:
                continue
            nothing = np.zeros_like(there[0])
            stack = np.stack([one.get(modality, nothing) for one in examples])
            batch[modality] = torch.from_numpy(stack).float()
            if len(there) < len(examples):
                batch[f"{modality}_mask"] = torch.tensor([modality in one for one in examples])
        if self.reader is not None:
            texts = [one["text"] for one in examples]
            batch["text"] = padded(texts, self.reader.pad_token_id or 0)
            batch["text_mask"] = padded([[1] * len(ids) for ids in texts], 0)
        return batch

    def _given(self, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """A batch as arguments of the model."""
        given: dict[str, Any] = {}
        known = {name: batch[name] for name in self.kept if name in batch and name in self.frozen}
        given |= {VALUES[name]: batch[name] for name in self.kept if name in batch and name not in self.frozen}
        masks = {name: batch[f"{name}_mask"] for name in self.kept if f"{name}_mask" in batch}
        if "text" in batch:
            given |= {"context_ids": batch["text"], "context_mask": batch["text_mask"]}
        if known:
            given["features"] = known
        if masks:
            given["masks"] = masks
        return given

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the words and of the end."""
        words = {name: batch[name] for name in ("input_ids", "attention_mask")}
        logits = model(**words, **self._given(batch)).logits
        return cross_entropy(logits, batch["labels"], self.options.label_smoothing)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """A caption of each, searched for as the studio does."""
        answers: list[str] = []
        for start in range(0, len(rows), AT_ONCE):
            batch = self._stacked([self._seen(row) for row in rows[start : start + AT_ONCE]])
            ids = self.fusion.generate(
                **self._given({name: one.to(self.given.device) for name, one in batch.items()}),
                max_new_tokens=LONGEST, do_sample=False, **self.search,
            )  # fmt: skip
            answers += [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """CIDEr, BLEU-4, ROUGE-L against all captions of each row."""
        return metrics.captions([row.targets for row in rows], answers)

    def save(self, folder: Path) -> None:
        """A fusion checkpoint as the studio opens it: whole, or with its eye elsewhere; and the adapters alone."""
        models.save_adapter(self.model, folder)
        fusion = models.merged(self.model)
        fusion.config.fresh = False
        (checkpoint.keep if self.composed else checkpoint.save)(fusion, folder)
        self.tokenizer.save_pretrained(folder)
        if self.reader is not None:
            self.reader.save_pretrained(folder / READER)
        if (self.given.base.folder / GENERATION).exists():
            shutil.copyfile(self.given.base.folder / GENERATION, folder / GENERATION)

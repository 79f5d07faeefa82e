"""Classifiers of `transformers`: of texts, pictures and sounds; taggers of words; either with pictures beside texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmdemo import torchvision_ops
from mmdemo.fusion import reading
from mmdemo.fusion.config import ClassesConfig
from mmdemo.fusion.pixels import pixels
from mmdemo.results import Label
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.base import RATE, Load
from mmdemo.runtime.classifying import PAIRS, Found, Pair, entities, words
from mmdemo.runtime.estimates import Estimate

TOP = 20
LONGEST = 512
"""Tokens of a text that are read, if the model has places for so many."""
KINDS = {
    "ForSequenceClassification": ("text", "AutoModelForSequenceClassification"),
    "ForTokenClassification": ("text", "AutoModelForTokenClassification"),
    "ForImageClassification": ("image", "AutoModelForImageClassification"),
    "ForAudioClassification": ("audio", "AutoModelForAudioClassification"),
}
"""How an architecture ends, to what it takes and the class that opens it."""


def ending_of(config: Any) -> str:
    """Which of `KINDS` a configuration is of."""
    return next(ending for ending in KINDS if str((config.architectures or [""])[0]).endswith(ending))


class ClassifierBackend:
    """A `Classifier`: softmax over the classes of the checkpoint, in float32."""

    def __init__(self, request: Load) -> None:
        self.spec, self.device = request.spec, request.device
        self._threads = request.threads
        folder = request.folders[self.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        request.go_on()
        checkpoint.quiet()
        torchvision_ops.prepare()
        import transformers

        config: Any = checkpoint.opened(self.spec.title, folder, lambda: checkpoint.config_of(folder, request.trusted))
        ending = ending_of(config)
        self.takes, opener = KINDS[ending]
        self._looks = config.vision_config if isinstance(config, ClassesConfig) else None
        if self._looks is not None:
            self.takes = PAIRS
        self.tags = ending == "ForTokenClassification"
        self._processor: Any = checkpoint.opened(self.spec.title, folder, lambda: self._prepares(folder, config))
        request.go_on()
        auto = getattr(transformers, opener)
        self._model: Any = checkpoint.open_model(auto, request, dtype=torch.float32, config=config)
        self._names = {int(number): str(name) for number, name in config.id2label.items()}
        self._most = min(LONGEST, int(getattr(config, "max_position_embeddings", LONGEST)))

    def _prepares(self, folder: Path, config: Any) -> Any:
        """The tokenizer, feature extractor or image processor; None for a network of timm: its configuration tells."""
        from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

        if self.takes == "image" and getattr(config, "pretrained_cfg", None):
            return None
        kinds: dict[str, Any] = {
            "text": AutoTokenizer,
            PAIRS: AutoTokenizer,
            "image": AutoImageProcessor,
            "audio": AutoFeatureExtractor,
        }
        return kinds[self.takes].from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, by module, from its configuration alone."""
        config: Any = checkpoint.config_of(request.folders[request.spec.key], request.trusted)
        return checkpoint.estimate(request, KINDS[ending_of(config)][1], dtype=torch.float32)

    @torch.inference_mode()
    def classify(self, inputs: Sequence[Any]) -> list[Found]:
        """See `classifying.Classifier`."""
        checkpoint.use_threads(self._threads)
        if self.tags:
            return [self._tagged(one) for one in inputs]
        shares = self._model(**self._given(list(inputs))).logits.float().softmax(-1).cpu()
        found = []
        for line in shares:
            best = line.topk(min(TOP, len(line)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found.append(Found(tuple(Label(self._names[number], value) for number, value in pairs)))
        return found

    def _given(self, inputs: list[Any]) -> dict[str, Any]:
        """What the model takes of a batch."""
        if self.takes in ("text", PAIRS):
            texts = [one.text if isinstance(one, Pair) else one for one in inputs]
            made = self._processor(texts, padding=True, truncation=True, max_length=self._most, return_tensors="pt")
        elif self.takes == "audio":
            whole = self._model.config.model_type == "whisper"  # it always hears half a minute
            padding = {} if whole else {"padding": True}
            made = self._processor(inputs, sampling_rate=RATE, return_tensors="pt", **padding)
        elif self._processor is not None:
            made = self._processor(images=inputs, return_tensors="pt")
        else:
            form = self._model.config.pretrained_cfg
            values = pixels(inputs, int(form["input_size"][-1]), form["mean"], form["std"])
            made = {"pixel_values": torch.from_numpy(np.ascontiguousarray(values))}
        return {name: tensor.to(self._model.device) for name, tensor in {**made, **self._seen(inputs)}.items()}

    def _seen(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """The pictures of pairs; nothing where none has one."""
        images = [getattr(one, "image", None) for one in inputs]
        blank = next((image for image in images if image is not None), None)
        if self._looks is None or blank is None:
            return {}
        values = reading.pictures([blank if image is None else image for image in images], self._looks)
        there = torch.tensor([image is not None for image in images])
        return {"pixel_values": torch.from_numpy(values), "picture_mask": there}

    def _tagged(self, given: Any) -> Found:
        """What a tagger names in a text: the tag of a word is that of its first piece, as it was learned."""
        text = given.text if isinstance(given, Pair) else given
        seen = {name: tensor.to(self._model.device) for name, tensor in self._seen([given]).items()}
        spans = words(text)
        if not spans:
            return Found()
        tags: list[tuple[int, int, str, float]] = []
        left = spans
        while left:  # a text that is too long is read in parts, none of which begins within a word
            made = self._processor(
                [text[start:end] for start, end in left], is_split_into_words=True, truncation=True,
                max_length=self._most, return_tensors="pt",
            )  # fmt: skip
            places = made.word_ids()
            shares = self._model(**made.to(self._model.device), **seen).logits[0].float().softmax(-1)
            first = {word: place for place, word in reversed(list(enumerate(places))) if word is not None}
            for word, place in sorted(first.items()):
                sure, number = shares[place].max(-1)
                tags.append((*left[word], self._names[int(number)], float(sure)))
            left = left[max(first, default=len(left)) + 1 :]
        return Found(entities=entities(text, tags))

    def close(self) -> None:
        """Free the memory."""
        self._model = self._processor = None
        checkpoint.give_back(self.device)

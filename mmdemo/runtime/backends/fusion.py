"""The fusion model as a describer: a whole batch of pictures is decoded together, one word a step."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.errors import InputError
from mmdemo.results import Label, Sights
from mmdemo.runtime import headers
from mmdemo.runtime.backends import fusion_graphs, fusion_why
from mmdemo.runtime.backends.decoding import decode
from mmdemo.runtime.backends.fusion_engines import Engine, OpenVinoEngine, TorchEngine
from mmdemo.runtime.backends.fusion_prefills import KEPT, Prefills
from mmdemo.runtime.backends.labels import encoder_bytes, label_names
from mmdemo.runtime.backends.naming import Names
from mmdemo.runtime.base import Ask, Load, Seen
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.explaining import Explained, Given

LABELS = 20
"""How many labels are kept; a task shows fewer."""
TAG_PROBABILITY = 0.05
WORKING = 480_000_000
"""Bytes of the activations of sixteen pictures, as measured."""
LIBRARY = 60_000_000
"""Bytes of the engine itself, as measured."""
READS_ONLY = ("projector.", "crossattention.c_attn.")
"""In names of tensors that are needed to read a picture, and not for the words after it."""
EXPORTING = 650_000_000
"""Bytes more while the graphs are written: torch and the model itself, as measured."""


class FusionBackend:
    """Describes pictures with a fusion checkpoint and names what its encoder recognises."""

    def __init__(self, request: Load) -> None:
        """Load the checkpoint and its encoder; the first time, on a CPU, their graphs are made.

        Raises:
            WeightsError: the checkpoint and its config do not fit.
            Cancelled: the user stopped before the last step began.
        """
        from tokenizers import Tokenizer

        folder = request.folders[request.spec.key]
        encoder_folder = request.folders[request.spec.parts[0]]
        self.spec, self.device = request.spec, request.device
        self._folders, self._threads = (folder, encoder_folder), request.threads
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._vision = SimpleNamespace(**config["vision_config"])
        taken = {"concat": self._vision.grid_size**2, "attention": config.get("queries", 0)}
        prefix = taken.get(config["fusion"], 0)
        self._room = config["text_config"]["n_positions"] - prefix - 1
        generation = folder / "generation_config.json"  # a checkpoint without one is decoded greedily
        found = json.loads(generation.read_text(encoding="utf-8")) if generation.exists() else {}
        self._search = {
            "end": config["text_config"]["eos_token_id"],
            "width": int(found.get("num_beams", 1)),
            "no_repeat": int(found.get("no_repeat_ngram_size", 0)),
        }
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        request.go_on()
        self._engine: Engine = (
            OpenVinoEngine(folder, encoder_folder, request.threads, request.go_on)
            if request.device == "cpu"
            else TorchEngine(folder, encoder_folder, request.device)
        )
        self._opened: Any = None
        self._prefills = Prefills(self._engine)
        self._labelled = label_names(encoder_folder)
        self._names = Names.of(folder)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory: float32 weights, and what runs them.

        On a CPU they are in two graphs, one that reads pictures and one that writes the words after the first; in
        OpenVINO they lie in the file, and once more as they are computed with.
        """
        folder = request.folders[request.spec.key]
        encoder_folder = request.folders[request.spec.parts[0]]
        sizes = {name: 4 * math.prod(tensor.shape) for name, tensor in headers.tensors(folder).items()}
        decoder = sum(sizes.values())
        encoder, other = encoder_bytes(encoder_folder), LIBRARY + KEPT
        parts = [Part("encoder", encoder // 4, encoder), Part("decoder", decoder // 4, decoder)]
        if request.device == "cpu":
            again = decoder - sum(size for name, size in sizes.items() if any(word in name for word in READS_ONLY))
            parts = [replace(part, bytes=2 * part.bytes) for part in parts]
            parts.append(Part("decoder, for the words after the first", 0, 2 * again))
            other += encoder + decoder  # the same in torch, once an answer is explained
            exported = fusion_graphs.is_there(fusion_graphs.named(folder, encoder_folder))
            other += 0 if exported else EXPORTING
        return Estimate(tuple(parts), activations=WORKING, other=other, dtype="float32")

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come; a sentence that has ended is yielded once more with `done`.

        A picture that was described lately is not read again: its sentence comes at once.

        `tags` are the encoder's labels, `sentence` and `alt` the sentence; of a picture unlike those it learned from, a
        sentence made of the labels (`naming`). `question` is not seen by this model.
        """
        return self.answer([Ask(image, style, question, max_words) for image in images])

    def answer(self, asks: Sequence[Ask]) -> Iterator[Seen]:
        """As `describe`, each picture in its own style and length."""
        classes, logits, state = self._prefills(self._pixels([ask.image for ask in asks]))
        labels = [self._labels(row) for row in classes]
        for index, (ask, found) in enumerate(zip(asks, labels, strict=True)):
            if ask.style == "tags":
                likely = [label.name for label in found if label.probability >= TAG_PROBABILITY] or [found[0].name]
                yield Seen(index, ", ".join(likely), tuple(found), done=True)
        rows = [index for index, ask in enumerate(asks) if ask.style != "tags"]
        if not rows:
            return
        if len(rows) < len(asks):
            logits, state = logits[rows], self._engine.select(state, rows)
        unfamiliar = self._names.unfamiliar(classes).tolist() if self._names else [False] * len(asks)
        limits = [min(self._room, asks[index].max_words * 2) for index in rows]
        left = [asks[index].left for index in rows]
        for row, tokens, done in decode(self._engine, logits, state, limits=limits, left=left, **self._search):
            index = rows[row]
            seen = Seen(index, self._tokenizer.decode(tokens), tuple(labels[index]), done)
            if not unfamiliar[index]:
                yield seen
            elif done:  # words that may not stand are not shown
                yield self._judged(seen, classes[index])

    def needs(self) -> Mapping[str, int]:
        """One picture."""
        return {"vision": 1}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`. Gradients need torch: on a CPU the model is opened beside the graphs,
        the first time."""
        if not all(one.frames for one in given):
            raise InputError("There is no picture to look at: give one.")
        import torch

        from mmdemo.fusion.encoders import positions
        from mmdemo.runtime.backends.checkpoint import use_threads

        use_threads(self._threads)
        model = self._model()
        for one in given:
            values = self._pixels(one.frames[:1])
            said = answer or next(seen.text for seen in self.answer([Ask(one.frames[0])]) if seen.done)
            with torch.no_grad():
                grid = model.vision.network.forward_features(torch.from_numpy(values).to(self.device))
                classes = model.vision.network.forward_head(grid)[0].cpu().numpy()
            sights = self._sights(values, said)
            if self._names and self._names.unfamiliar(classes[None])[0] and said == self._names.sentence(classes):
                chosen, phrases = self._names.named(classes)
                maps, likely = fusion_why.evidence(model.vision, grid, chosen)
                yield Explained(said, fusion_why.of_labels(said, phrases, maps, likely), sights, from_labels=True)
                continue
            features = {"vision": positions(grid)}
            yield Explained(said, fusion_why.reasons(model, self._tokenizer, features, said, self._room), sights)

    def _model(self) -> Any:
        """The model in torch; it stays until the backend is let go."""
        if isinstance(self._engine, TorchEngine):
            return self._engine.model
        if self._opened is None:
            from mmdemo.fusion.checkpoint import assemble

            self._opened = assemble(*self._folders)
        return self._opened

    def _sights(self, values: NDArray[np.float32], answer: str) -> Sights:
        """What it reads of a picture, and the tokens of its answer."""
        from mmdemo.fusion.pixels import colours

        shown = colours(values, self._vision.image_mean, self._vision.image_std)
        return Sights(tuple(shown), tokens=tuple(fusion_why.tokens(self._tokenizer, answer)))

    def _pixels(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        from mmdemo.fusion.pixels import pixels

        return pixels(images, self._vision.image_size, self._vision.image_mean, self._vision.image_std)

    def _judged(self, seen: Seen, logits: NDArray[np.float32]) -> Seen:
        """What is said of an unfamiliar picture: the sentence if it speaks of a likely label, else one of labels."""
        if self._names is None or self._names.supports(logits, seen.text):
            return seen
        return replace(seen, text=self._names.sentence(logits), from_labels=True)

    def _labels(self, logits: NDArray[np.float32]) -> list[Label]:
        """The likeliest classes by softmax."""
        powers = np.exp(logits - logits.max())
        probabilities = powers / powers.sum()
        best = np.argsort(-probabilities)[:LABELS]
        return [Label(self._labelled[index], round(float(probabilities[index]), 4)) for index in best]

    def close(self) -> None:
        """Free the graphs, and what is kept of pictures."""
        del self._engine, self._prefills

"""A composed chain in plain torch: describes pictures, watches frames with their sound, writes what a sound says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmdemo.fusion import checkpoint as files
from mmdemo.fusion import reading
from mmdemo.fusion.processing import sentence
from mmdemo.results import Segment
from mmdemo.runtime import headers
from mmdemo.runtime.backends import chain_why, checkpoint, generation, quantized
from mmdemo.runtime.base import RATE, Ask, Clip, Heard, Hearing, Load, Seen
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.explaining import Explained, Given
from mmdemo.runtime.scenes import Scene

READER, GENERATION = "reader", "generation_config.json"
WORKING = 400_000_000
"""Bytes beside the weights: torch and the activations of a batch."""
AT_ONCE = 16
READ = 128
"""Tokens of a text beside the media that are read at most."""


class ChainBackend:
    """A `Describer` and `Answerer`, a `Watcher`, a `Transcriber`: each as far as its encoders go."""

    def __init__(self, request: Load) -> None:
        """Load the chain.

        Raises:
            WeightsError: the checkpoint and its config do not fit; names the tensor.
            Cancelled: the user stopped before the last step began.
        """
        from transformers import AutoTokenizer

        checkpoint.quiet()
        folder = request.folders[request.spec.key]
        self.spec, self.device, self._threads = request.spec, request.device, request.threads
        model = files.opened(folder)
        request.go_on()
        self._config = model.config
        dtype = torch.float32 if request.quantization in ("auto", "int8") else quantized.WHOLE[request.quantization]
        model = quantized.finished(model.to(request.device, dtype), request.quantization, request.device)
        model.generation_config = model.language_model.generation_config
        self._model: Any = model
        self._dtype = dtype
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        named = (folder / READER).is_dir()
        self._reader: Any = AutoTokenizer.from_pretrained(folder / READER, local_files_only=True) if named else None
        found = json.loads((folder / GENERATION).read_text(encoding="utf-8")) if (folder / GENERATION).exists() else {}
        self._search = {name: found[name] for name in ("num_beams", "no_repeat_ngram_size") if name in found}
        self.frames = int(self._config.frames) if self._config.vision_config is not None else 0
        self.hears = self._config.audio_config is not None
        self.longest = reading.seconds(self._config) if self.hears else 30.0

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory: its weights as they are to be held, and what runs them."""
        whole = sum(tensor.bytes for tensor in headers.tensors(request.folders[request.spec.key]).values())
        part = {"bf16": 2, "fp16": 2}.get(request.quantization, 1)
        return Estimate((Part("weights", whole // 4, whole // part),), other=WORKING, dtype=request.quantization)

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come; see `runtime.base.Describer`."""
        return self.answer([Ask(image, style, question, max_words) for image in images])

    def answer(self, asks: Sequence[Ask]) -> Iterator[Seen]:
        """As `describe`, each picture with its own question and length."""
        scenes = [Scene((ask.image,), None, ask.left) for ask in asks]
        return self._told(scenes, [ask.question for ask in asks], [ask.max_words for ask in asks])

    def watch(self, scenes: Sequence[Scene], *, max_words: int) -> Iterator[Seen]:
        """What is seen and heard in each scene; see `runtime.scenes.Watcher`."""
        return self._told(scenes, [""] * len(scenes), [max_words] * len(scenes))

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """One segment for each clip, in the clips' order: what the chain has learned to write of a sound."""
        for begin in range(0, len(clips), AT_ONCE):
            part = clips[begin : begin + AT_ONCE]
            scenes = [Scene((), clip.samples, hearing.left) for clip in part]
            for seen in sorted(self.watch(scenes, max_words=60), key=_place):
                clip = part[seen.index]
                if seen.done and seen.text:
                    end = clip.start + len(clip.samples) / RATE
                    yield Heard(Segment(clip.start, end, seen.text), clip.source)

    def needs(self) -> Mapping[str, int]:
        """See `runtime.explaining.Explainer`."""
        return chain_why.needs(self._config)

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`."""
        scenes = [(one, self._given([Scene(one.frames, one.sound)], [one.text])) for one in given]
        found = chain_why.explain(self._model, self._tokenizer, scenes, answer, self._search, self._threads)
        return map(self._with_text, scenes, found)

    def _with_text(self, scene: tuple[Given, Mapping[str, Any]], found: Explained) -> Explained:
        """An explanation with the tokens of the text that was read."""
        given, arguments = scene
        if self._reader is None or not given.text:
            return found
        pieces = tuple(map(str, self._reader.convert_ids_to_tokens(arguments["context_ids"][0].tolist())))
        return replace(found, sights=replace(found.sights, read=pieces))

    def _told(self, scenes: Sequence[Scene], questions: Sequence[str], words: Sequence[int]) -> Iterator[Seen]:
        given = self._given(scenes, questions)
        room = chain_why.room(self._config)
        limits = [min(room, generation.tokens_for(count)) for count in words]
        left = [scene.left for scene in scenes]
        if self._search.get("num_beams", 1) > 1:
            checkpoint.use_threads(self._threads)
            with torch.inference_mode():
                ids = self._model.generate(
                    **given, max_new_tokens=max(limits), do_sample=False, stopping_criteria=[generation.unless(left)],
                    **self._search,
                )  # fmt: skip
            for row, text in enumerate(self._tokenizer.batch_decode(ids, skip_special_tokens=True)):
                yield Seen(row, sentence(text), done=True)
            return
        options = {name: value for name, value in self._search.items() if name != "num_beams"}
        running = generation.texts(
            self._model, self._tokenizer, given, len(scenes), threads=self._threads, limits=limits, left=left, **options
        )
        with closing(running):
            for row, text, done in running:
                yield Seen(row, sentence(text) if done else text.strip(), done=done)

    def _given(self, scenes: Sequence[Scene], questions: Sequence[str]) -> dict[str, Any]:
        """Scenes as arguments of the model; what one lacks and another has is masked."""
        given: dict[str, Any] = {}
        masks: dict[str, torch.Tensor] = {}
        looked = [
            reading.video(scene.frames, self._config) if self.frames and scene.frames else None for scene in scenes
        ]
        heard = [
            reading.sound(scene.samples, self._config) if self.hears and scene.samples is not None else None
            for scene in scenes
        ]
        for modality, name, values in (("vision", "pixel_values", looked), ("audio", "audio_values", heard)):
            there = [one for one in values if one is not None]
            if not there:
                continue
            stack = np.stack([np.zeros_like(there[0]) if one is None else one for one in values])
            given[name] = torch.from_numpy(stack).to(self.device, self._dtype)
            if len(there) < len(values):
                masks[modality] = torch.tensor([one is not None for one in values], device=self.device)
        if self._reader is not None:
            read = self._reader(list(questions), padding=True, truncation=True, max_length=READ, return_tensors="pt")
            given["context_ids"] = read["input_ids"].to(self.device)
            given["context_mask"] = read["attention_mask"].to(self.device)
        return given | ({"masks": masks} if masks else {})

    def close(self) -> None:
        """Free the memory."""
        self._model = self._tokenizer = self._reader = None
        checkpoint.give_back(self.device)


def _place(seen: Seen) -> int:
    return seen.index

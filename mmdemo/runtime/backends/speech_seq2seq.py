"""Speech models of `transformers`: Whisper and its distilled kin, with times; Moonshine, one segment for each clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mmdemo.results import Segment, Word
from mmdemo.runtime.backends import checkpoint, generation, quantized, speech_why, whisper_text
from mmdemo.runtime.backends.languages import checked
from mmdemo.runtime.base import RATE, Clip, Heard, Hearing, Load
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.explaining import Explained, Given

AT_ONCE = {"cpu": 4, "cuda": 16, "mps": 8}
"""Clips decoded together."""
SHORTEST = 0.5
"""Seconds a clip is padded to: the convolutions in front need some."""
TOKENS = 6.5
"""Tokens a second of speech has at most, in Moonshine's own words; more is a loop."""
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPEATED = 1.35
"""Whisper's limit of 2.4 for text, as `transformers` counts it over token numbers."""


class SpeechSeq2SeqBackend:
    """A `transformers` checkpoint for speech to text, with its processor."""

    longest = 30.0
    """Longest clip it takes, in seconds."""

    def __init__(self, request: Load) -> None:
        """Load the folder: float32 on a CPU, float16 elsewhere.

        Raises:
            WeightsError: the files are no such checkpoint, or weights are missing.
            Cancelled: the user stopped while it was loading.
        """
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        self._dtype = dtype_for(request)
        folder = request.folders[request.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        request.go_on()

        def processor() -> Any:
            from transformers import AutoProcessor

            return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=request.trusted)

        self._processor: Any = checkpoint.opened(self.spec.title, folder, processor)
        request.go_on()
        from transformers import AutoModelForSpeechSeq2Seq

        self._model: Any = checkpoint.open_model(AutoModelForSpeechSeq2Seq, request, dtype=self._dtype)
        self._whisper = self._model.config.model_type == "whisper"

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration, in the type it computes in."""
        return checkpoint.estimate(request, "AutoModelForSpeechSeq2Seq", dtype=dtype_for(request))

    def close(self) -> None:
        """Free the memory."""
        self._model = self._processor = None
        checkpoint.give_back(self.device)

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """Segments of all clips, in the clips' order; see `runtime.base.Transcriber`.

        Raises:
            UnknownName: for a language code that the model does not know; lists the codes.
            Unsupported: another language than English from an English-only model.
        """
        code = checked(hearing.language, self._languages(), self._known(), self.spec.title)
        found: dict[int, tuple[str, float]] = {}
        most = AT_ONCE[self.device]
        checkpoint.use_threads(self._threads)
        for begin in range(0, len(clips), most):
            part = clips[begin : begin + most]
            with torch.inference_mode():
                each = self._times(part, hearing, code, found) if self._whisper else self._texts(part, hearing)
            for clip, segments in zip(part, each, strict=True):
                language, probability = found.get(clip.source, ("en", 1.0))
                for segment in segments:
                    yield Heard(segment, clip.source, language, probability)

    def needs(self) -> Mapping[str, int]:
        """The sound of a clip."""
        return {"audio": round(self.longest)}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`."""
        checkpoint.use_threads(self._threads)
        for one in given:
            samples = speech_why.sound_of(one.sound)
            heard = [] if answer else list(self.transcribe([Clip(samples)], Hearing()))
            said = answer or " ".join(found.segment.text for found in heard)
            padding = {} if self._whisper else {"padding": True}
            inputs, silence = (self._inputs([Clip(part)], **padding) for part in (samples, np.zeros_like(samples)))
            prompt, found = [self._model.generation_config.decoder_start_token_id], dict[int, tuple[str, float]]()
            if getattr(self._model.generation_config, "is_multilingual", False):
                with torch.inference_mode():
                    self._settle([Clip(samples)], inputs["input_features"], "", found)
                settings = self._model.generation_config
                prompt += [settings.lang_to_id[f"<|{found[0][0]}|>"], settings.task_to_id["transcribe"]]
            if self._whisper:
                prompt.append(self._model.generation_config.no_timestamps_token_id)
            share = len(samples) / RATE / (self.longest if self._whisper else max(SHORTEST, len(samples) / RATE))
            reasons, tokens = speech_why.explained(
                self._model, self._processor.tokenizer, (inputs, silence), prompt,
                f" {said.strip()}" if self._whisper else said, share,
            )  # fmt: skip
            yield Explained(said, reasons, speech_why.sights(samples, tokens))

    def _languages(self) -> list[str]:
        """The codes the model can hear."""
        names = getattr(self._model.generation_config, "lang_to_id", None) or {}
        return sorted(name[2:-2] for name in names) or ["en"]

    @staticmethod
    def _known() -> list[str]:
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        return list(LANGUAGES)

    def _inputs(self, clips: Sequence[Clip], **more: Any) -> dict[str, Any]:
        """The processor's tensors for clips, on the model's device."""
        shortest = int(SHORTEST * RATE)
        sounds = [np.pad(clip.samples, (0, max(0, shortest - len(clip.samples)))) for clip in clips]
        batch = self._processor(sounds, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True, **more)
        return {
            name: value.to(self.device, self._dtype if value.is_floating_point() else value.dtype)
            for name, value in batch.items()
        }

    def _texts(self, clips: Sequence[Clip], hearing: Hearing) -> list[list[Segment]]:
        """What a model without times writes: one segment for each clip."""
        seconds = [len(clip.samples) / RATE for clip in clips]
        inputs = self._inputs(clips, padding=True)
        limit = max(8, int(TOKENS * max(seconds)))
        tokens = self._model.generate(
            **inputs, num_beams=hearing.beams, do_sample=False, max_new_tokens=limit,
            stopping_criteria=[generation.unless([hearing.left])],
        )  # fmt: skip
        texts = [text.strip() for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]
        return [
            [Segment(clip.start, clip.start + length, text)]
            if text and whisper_text.repetitiveness(text) <= whisper_text.TOO_REPETITIVE
            else []
            for clip, length, text in zip(clips, seconds, texts, strict=True)
        ]

    def _times(
        self, clips: Sequence[Clip], hearing: Hearing, code: str, found: dict[int, tuple[str, float]]
    ) -> list[list[Segment]]:
        """What Whisper writes, split at its time tokens."""
        inputs = self._inputs(clips)
        more: dict[str, Any] = {}
        if getattr(self._model.generation_config, "is_multilingual", False):
            self._settle(clips, inputs["input_features"], code, found)
            more["language"] = [found[clip.source][0] for clip in clips]
            more["task"] = "translate" if hearing.translate else "transcribe"
        if hearing.prompt.strip():
            ids = self._processor.get_prompt_ids(hearing.prompt.strip(), return_tensors="pt")
            more["prompt_ids"] = ids.to(self.device)
            more["prompt_condition_type"] = "all-segments"
            more["condition_on_prev_tokens"] = True
        torch.manual_seed(0)  # a rising temperature samples; the same clip gives the same text
        written = self._model.generate(
            **inputs,
            **more,
            num_beams=hearing.beams,
            stopping_criteria=[generation.unless([hearing.left])],
            return_timestamps=True,
            return_segments=True,
            return_token_timestamps=hearing.words,
            temperature=TEMPERATURES,
            compression_ratio_threshold=REPEATED,
            logprob_threshold=whisper_text.TOO_UNSURE,
            no_speech_threshold=whisper_text.NOBODY,
        )
        return [
            list(self._segments(clip, parts, features, hearing))
            for clip, parts, features in zip(clips, written["segments"], inputs["input_features"], strict=True)
        ]

    def _settle(self, clips: Sequence[Clip], features: Any, code: str, found: dict[int, tuple[str, float]]) -> None:
        """Find the language of each source that has none yet, from its first clip."""
        settings = self._model.generation_config
        names = {number: name[2:-2] for name, number in settings.lang_to_id.items()}
        ids = sorted(names)
        for index, clip in enumerate(clips):
            if clip.source in found:
                continue
            if code:
                found[clip.source] = (code, 1.0)
                continue
            start = torch.tensor([[settings.decoder_start_token_id]], device=self.device)
            logits = self._model(input_features=features[index : index + 1], decoder_input_ids=start).logits[0, -1]
            chances = logits[ids].float().softmax(-1)
            best = int(chances.argmax())
            found[clip.source] = (names[ids[best]], float(chances[best]))

    def _segments(
        self, clip: Clip, parts: Sequence[dict[str, Any]], features: Any, hearing: Hearing
    ) -> Iterator[Segment]:
        seconds = len(clip.samples) / RATE
        tokenizer = self._processor.tokenizer
        reached = 0.0
        for part in parts:
            start = max(reached, float(part["start"]))
            end = min(max(float(part["end"]), start), seconds)
            tokens = [int(token) for token in part["tokens"] if int(token) < tokenizer.eos_token_id]
            text = tokenizer.decode(tokens).strip()
            if not text or start >= seconds:
                continue
            reached = end
            words = tuple(self._words(clip, part, start, end, features)) if hearing.words else ()
            yield Segment(round(clip.start + start, 3), round(clip.start + end, 3), text, words=words)

    def _words(self, clip: Clip, part: dict[str, Any], start: float, end: float, features: Any) -> Iterator[Word]:
        """Words of a segment; a token ends where the model's attention jumps to the next."""
        tokenizer = self._processor.tokenizer
        tokens = [int(token) for token in part["tokens"]]
        times = [min(max(float(time), start), end) for time in part["token_timestamps"]]
        chances = self._chances(features, tokens)
        text: list[int] = []
        # Chinese, Thai and so on are written without spaces: there each character counts as a word.
        spaced = " " in tokenizer.decode([token for token in tokens if token < tokenizer.eos_token_id]).strip()
        begin, last, chance = start, start, 0.0
        for token, time, probability in zip(tokens, times, chances, strict=True):
            if token >= tokenizer.eos_token_id:
                continue
            whole = tokenizer.decode([token]).startswith(" ") if spaced else "\ufffd" not in tokenizer.decode(text)
            if text and whole:
                yield Word(clip.start + begin, clip.start + last, tokenizer.decode(text).strip(), chance / len(text))
                text, begin, chance = [], last, 0.0
            text.append(token)
            last, chance = max(time, begin), chance + probability
        if text:
            yield Word(clip.start + begin, clip.start + last, tokenizer.decode(text).strip(), chance / len(text))

    def _chances(self, features: Any, tokens: Sequence[int]) -> list[float]:
        """The model's probability of each token after those before it."""
        start = self._model.generation_config.decoder_start_token_id
        given = torch.tensor([[start, *tokens]], device=self.device)
        logits = self._model(input_features=features[None], decoder_input_ids=given[:, :-1]).logits[0].float()
        chances: list[float] = logits.softmax(-1).gather(1, given[0, 1:, None])[:, 0].tolist()
        return chances


def dtype_for(request: Load) -> torch.dtype:
    """What it computes in: what was asked for, else float16 as Whisper was published; a CPU would emulate that."""
    if request.quantization in quantized.WHOLE:
        return quantized.WHOLE[request.quantization]
    return torch.float32 if request.device == "cpu" else torch.float16

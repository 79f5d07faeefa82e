"""Whisper through CTranslate2, with faster-whisper's tokenizer, features, alignment and fallback.

What differs from faster-whisper's own `transcribe`: clips, of several files too, are decoded together, and the
encoder sees a window only a little longer than the clip instead of 30 s (its attention costs the square of that). A
text that looks wrong after that is heard again the reference way: full window, rising temperature.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import InputError, WeightsError
from mmdemo.results import Segment, Sights, Word
from mmdemo.runtime.backends import whisper_size, whisper_text, whisper_why
from mmdemo.runtime.backends.languages import checked
from mmdemo.runtime.backends.whisper_jobs import (
    AFTER,
    BEFORE,
    WINDOWS,
    Job,
    Leaving,
    batches,
    reference,
    silent,
    storage,
    suspicious,
    window,
)
from mmdemo.runtime.base import RATE, Audio, Clip, Heard, Hearing, Load
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.explaining import Explained, Given

FRAMES = 100
"""Spectrogram frames a second."""
TOKENS = 30
"""A second of speech has no more tokens than this in any script; a loop is stopped there."""
AT_ONCE = {"cpu": 16, "cuda": 32}
"""Clips decoded together."""
TYPES = {"cpu": "int8", "cuda": "float16", "int8": "int8", "fp16": "float16", "fp32": "float32"}
"""CTranslate2's name for a quantization; on each device the default."""
LONGEST = {"cpu": 20.0, "cuda": 30.0}
"""Clips it likes to get, in seconds: on a CPU the encoder takes several times as long for 30 s as for two times 15."""
SURE = 0.5
"""Probability from which one clip settles the language of its file."""
FAINTEST = 3e-4
"""Peak below which a clip is silence (ten steps of 16 bits); Whisper writes "you" there."""


@dataclass(frozen=True)
class Language:
    """What a file is spoken in."""

    code: str
    probability: float


def _place(device: str) -> str:
    """Where CTranslate2 runs what is to run there: it knows two places."""
    return "cuda" if device == "cuda" else "cpu"


class FasterWhisperBackend:
    """A CTranslate2 Whisper folder: `config.json`, `model.bin`, `tokenizer.json`, `vocabulary.txt`."""

    def __init__(self, request: Load) -> None:
        """Load the folder: int8 on a CPU, float16 on a GPU.

        Raises:
            WeightsError: the files are not a Whisper checkpoint.
            Cancelled: the user has stopped before it began; it cannot be stopped in between.
        """
        from faster_whisper import WhisperModel

        self.spec = request.spec
        self.device = _place(request.device)
        self.longest = LONGEST[self.device]
        folder = request.folders[request.spec.key]
        if not (folder / "tokenizer.json").is_file():  # faster-whisper would ask the network for one
            raise WeightsError(
                f"{self.spec.title} cannot be loaded (there is no tokenizer.json in {folder}): "
                "remove the model and fetch it again."
            )
        request.go_on()
        try:
            self._model: Any = WhisperModel(
                str(folder),
                device=self.device,
                compute_type=TYPES.get(request.quantization) or TYPES[self.device],
                cpu_threads=request.threads,
                local_files_only=True,
            )
        except Exception as error:  # CTranslate2 and tokenizers raise what they like
            raise WeightsError(
                f"The files of {self.spec.title} cannot be loaded ({error}): remove the model and fetch it again."
            ) from error

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from the sizes in its file."""
        return whisper_size.estimate(request, TYPES.get(request.quantization) or TYPES[_place(request.device)])

    def close(self) -> None:
        """Free the memory."""
        if self._model is not None:
            self._model.model.unload_model()
            self._model = None

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """Segments of all clips, in the clips' order; see `runtime.base.Transcriber`.

        A language that is not given is detected once for each source, by its first clips.

        Raises:
            UnknownName: for a language code that Whisper does not know; lists the codes.
            Unsupported: another language than English from an English-only model.
        """
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        able = self._model.supported_languages
        code = checked(hearing.language, able, _LANGUAGE_CODES, self.spec.title) or (able[0] if len(able) == 1 else "")
        languages: dict[int, Language] = {}
        most = AT_ONCE[self.device]
        for begin in range(0, len(clips), most):
            part = clips[begin : begin + most]
            heard: list[list[tuple[Clip, Segment]]] = [[] for _ in part]
            jobs = [
                Job(clip, index, window(len(clip.samples) / RATE))
                for index, clip in enumerate(part)
                if np.abs(clip.samples).max(initial=0.0) >= FAINTEST
            ]
            while jobs:
                for job in jobs:
                    hearing.go_on()
                    job.encoded = self._encode(job.clip.samples, job.window)
                self._settle(jobs, languages, code)
                jobs = [again for batch in batches(jobs) for again in self._decode(batch, languages, hearing, heard)]
            for found in heard:
                for clip, segment in sorted(found, key=lambda pair: pair[1].start):
                    language = languages[clip.source]
                    yield Heard(segment, clip.source, language.code, language.probability)

    def needs(self) -> Mapping[str, int]:
        """The sound of what Whisper hears at once."""
        return {"audio": WINDOWS[-1]}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`."""
        for one in given:
            if one.sound is None or not len(one.sound):
                raise InputError("There is no sound to listen to: give a recording.")
            samples = one.sound[: WINDOWS[-1] * RATE]
            job, silence = (
                Job(Clip(sound), 0, window(len(sound) / RATE)) for sound in (samples, np.zeros_like(samples))
            )
            for each in (job, silence):
                each.encoded = self._encode(each.clip.samples, each.window)
            languages: dict[int, Language] = {}
            self._settle([job], languages, "" if self._model.model.is_multilingual else "en")
            heard = [] if answer else self.transcribe([job.clip], Hearing(languages[0].code, beams=5))
            said = answer or " ".join(found.segment.text for found in heard)
            tokenizer = self._tokenizer(languages[0].code, Hearing())
            reasons, tokens = whisper_why.explained(self._model.model, tokenizer, job, silence, said)
            mel = self._model.feature_extractor(samples)[:, : round(job.seconds * FRAMES)]
            yield Explained(said, reasons, Sights(mel=mel, seconds=job.seconds, tokens=tuple(tokens)))

    def _encode(self, samples: Audio, seconds: int) -> NDArray[Any]:
        """Encoder states of a clip in a window of `seconds`, (seconds · 50, width)."""
        from ctranslate2 import StorageView

        spectrum = self._model.feature_extractor(samples, padding=max(160, 400 - len(samples)))[:, : seconds * FRAMES]
        silence = np.full((len(spectrum), seconds * FRAMES - spectrum.shape[1]), spectrum.min(), np.float32)
        features = np.ascontiguousarray(np.concatenate([spectrum, silence], axis=1, dtype=np.float32)[None])
        states: NDArray[Any] = np.array(self._model.model.encode(StorageView.from_array(features), to_cpu=True))[0]
        return states

    def _settle(self, jobs: Sequence[Job], languages: dict[int, Language], code: str) -> None:
        """Find the language of each source that has none yet, from its first clips."""
        for source in {job.clip.source for job in jobs} - languages.keys():
            if code:
                languages[source] = Language(code, 1.0)
                continue
            votes: dict[str, float] = {}
            for count, job in enumerate([job for job in jobs if job.clip.source == source][:3], start=1):
                for token, probability in self._model.model.detect_language(storage([job]))[0]:
                    votes[token[2:-2]] = votes.get(token[2:-2], 0.0) + probability
                best = max(votes, key=lambda name: votes[name])
                languages[source] = Language(best, votes[best] / count)
                if languages[source].probability >= SURE:
                    break

    def _decode(
        self,
        jobs: Sequence[Job],
        languages: dict[int, Language],
        hearing: Hearing,
        heard: list[list[tuple[Clip, Segment]]],
    ) -> list[Job]:
        """Write what was said in clips of one window into `heard`; return what has to be heard again."""
        hearing.go_on()
        from faster_whisper.transcribe import get_suppressed_tokens

        tokenizers = [self._tokenizer(languages[job.clip.source].code, hearing) for job in jobs]
        prompts = [self._prompt(tokenizer, hearing) for tokenizer in tokenizers]
        limit = min(self._model.max_length, len(prompts[0]) + 20 + int(TOKENS * max(job.seconds for job in jobs)))
        results = Leaving(self._model.model, hearing.go_on).generate(
            storage(jobs),
            prompts,
            beam_size=hearing.beams,
            max_length=limit,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=get_suppressed_tokens(tokenizers[0], [-1]),
            max_initial_timestamp_index=50,
        )
        again: list[Job] = []
        written: list[tuple[Job, list[whisper_text.Span], Any]] = []
        for job, tokenizer, prompt, result in zip(jobs, tokenizers, prompts, results, strict=True):
            tokens = result.sequences_ids[0]
            sure = result.scores[0] * len(tokens) / (len(tokens) + 1)
            nobody = result.no_speech_prob
            if suspicious(tokens, tokenizer, sure, job, limit - len(prompt)) and not silent(nobody, sure):
                job.window, job.encoded = WINDOWS[-1], self._encode(job.clip.samples, WINDOWS[-1])
                tokens, sure, nobody = self._carefully(job, prompt, tokenizer, hearing)
            if silent(nobody, sure):
                continue
            found, rest = whisper_text.spans(tokens, tokenizer.timestamp_begin, job.seconds, tokenizer.eot)
            written.append((job, [span for span in found if tokenizer.decode(list(span.tokens)).strip()], tokenizer))
            if rest is not None and found:
                samples = job.clip.samples[int(rest * RATE) :]
                clip = Clip(samples, job.clip.start + rest, job.clip.source)
                again.append(Job(clip, job.index, window(len(samples) / RATE)))
        for job, found, tokenizer in written:
            hearing.go_on()
            heard[job.index] += [(job.clip, segment) for segment in self._segments(job, found, tokenizer, hearing)]
        return again

    def _tokenizer(self, language: str, hearing: Hearing) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        task = "translate" if hearing.translate else "transcribe"
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task=task, language=language)

    def _prompt(self, tokenizer: Any, hearing: Hearing) -> list[int]:
        before = tokenizer.encode(" " + hearing.prompt.strip()) if hearing.prompt.strip() else []
        prompt: list[int] = self._model.get_prompt(tokenizer, before)
        return prompt

    def _carefully(
        self, job: Job, prompt: list[int], tokenizer: Any, hearing: Hearing
    ) -> tuple[list[int], float, float]:
        """Tokens, mean log-probability and probability of no speech, found as faster-whisper finds them."""
        listener = copy.copy(self._model)
        listener.model = Leaving(self._model.model, hearing.go_on)
        result, sure, _, _ = listener.generate_with_fallback(
            storage([job]), prompt, tokenizer, reference(tokenizer, hearing)
        )
        return list(result.sequences_ids[0]), float(sure), float(result.no_speech_prob)

    def _segments(
        self, job: Job, found: Sequence[whisper_text.Span], tokenizer: Any, hearing: Hearing
    ) -> Iterator[Segment]:
        """What was said in a clip, with times in the file."""
        offset = job.clip.start
        parts: list[dict[str, Any]] = [
            {"seek": offset * FRAMES, "start": offset + span.start, "end": offset + span.end, "tokens": [*span.tokens]}
            for span in found
        ]
        if hearing.words and parts:
            self._model.add_word_timestamps(
                [parts], tokenizer, storage([job]), max(1, int(job.seconds * FRAMES)), BEFORE, AFTER, offset
            )
        for part in parts:
            words = tuple(
                Word(float(word["start"]), float(word["end"]), word["word"].strip(), float(word["probability"]))
                for word in part.get("words", ())
            )
            text = tokenizer.decode(part["tokens"]).strip()
            yield Segment(round(float(part["start"]), 3), round(float(part["end"]), 3), text, words=words)

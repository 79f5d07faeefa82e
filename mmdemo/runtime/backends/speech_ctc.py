"""Speech models of `transformers` that name a letter for each frame (CTC): wav2vec2, HuBERT, WavLM and their kin.

Connectionist temporal classification (Graves et al. 2006): letters that follow each other in equal frames are one
letter, a blank stands between two that are said twice. The frames of its letters are when a word is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmdemo.errors import InputError, Unsupported
from mmdemo.results import Reason, Segment, Word
from mmdemo.runtime.backends import checkpoint, speech_why
from mmdemo.runtime.backends.languages import checked
from mmdemo.runtime.backends.speech_seq2seq import AT_ONCE, SHORTEST, dtype_for
from mmdemo.runtime.base import RATE, Clip, Heard, Hearing, Load
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.explaining import Explained, Given

SPACE = "▁"
"""What a word begins with, in a vocabulary of pieces of words."""


@dataclass(frozen=True)
class Letter:
    """A token, the frames it was found in (from `start` up to `end`), and its mean probability there."""

    token: str
    start: int
    end: int
    probability: float


class SpeechCTCBackend:
    """A `Transcriber`: one segment for each clip, with times from the frames."""

    longest = 30.0
    """Longest clip it takes, in seconds: attention over all of its frames."""

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
        checkpoint.quiet()
        request.go_on()

        def processor() -> Any:
            from transformers import AutoProcessor

            return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=request.trusted)

        self._processor: Any = checkpoint.opened(self.spec.title, folder, processor)
        tokenizer = self._processor.tokenizer
        self._tokens: list[str] = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._unspoken = set(tokenizer.all_special_tokens)
        self._delimiter = str(getattr(tokenizer, "word_delimiter_token", "") or "")
        self._unspoken.discard(self._delimiter)
        self._capitals = not any(token.islower() for token in self._tokens if token not in self._unspoken)
        request.go_on()
        from transformers import AutoModelForCTC

        self._model: Any = checkpoint.open_model(AutoModelForCTC, request, dtype=self._dtype)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration, in the type it computes in."""
        return checkpoint.estimate(request, "AutoModelForCTC", dtype=dtype_for(request))

    def close(self) -> None:
        """Free the memory."""
        self._model = self._processor = None
        checkpoint.give_back(self.device)

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """Segments of all clips, in the clips' order; see `runtime.base.Transcriber`.

        Beams and expected names are left aside: each frame has its letter.

        Raises:
            UnknownName: for a language code that nobody knows.
            Unsupported: another language than the row's, or a translation.
        """
        if hearing.translate:
            raise Unsupported(f"{self.spec.title} writes what it hears and does not translate: choose a Whisper model.")
        language = self._language(hearing.language)
        checkpoint.use_threads(self._threads)
        # a model trained without a mask hears the silence that fills a batch up: its clips go in alone
        masked = getattr(self._processor.feature_extractor, "return_attention_mask", True)
        most = AT_ONCE[self.device] if masked else 1
        for begin in range(0, len(clips), most):
            part = clips[begin : begin + most]
            each, second = self._frames(part)
            for clip, chances in zip(part, each, strict=True):
                words = list(self._words(letters(chances, self._tokens, self._blank), clip.start, second))
                if words:
                    text = " ".join(word.text for word in words)
                    segment = Segment(words[0].start, words[-1].end, text, words=tuple(words) if hearing.words else ())
                    yield Heard(segment, clip.source, language, 1.0 if language else 0.0)

    def needs(self) -> Mapping[str, int]:
        """The sound of a clip."""
        return {"audio": round(self.longest)}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`. Each frame names its letter: these frames are the reason for it.

        Raises:
            InputError: there is no sound, or another text than what is heard: there are no frames for that.
        """
        checkpoint.use_threads(self._threads)
        for one in given:
            samples = speech_why.sound_of(one.sound)
            chances = self._frames([Clip(samples)])[0][0]
            quiet = self._frames([Clip(np.zeros_like(samples))])[0][0]
            reasons, tokens = [], []
            for word in self._spelled(letters(chances, self._tokens, self._blank)):
                looked = np.zeros((1, 1, len(chances)), np.float32)
                looked[0, 0, word[0].start : word[-1].end] = 1 / (word[-1].end - word[0].start)
                numbers = [self._tokens.index(letter.token) for letter in word]
                blank = [
                    float(quiet[letter.start : letter.end, number].mean())
                    for letter, number in zip(word, numbers, strict=True)
                ]
                text, likely = self._word(word, 0.0, 1.0).text, float(np.mean([one.probability for one in word]))
                reasons.append(Reason(text, likely, {"audio": looked}, {"audio": float(np.mean(blank))}))
                tokens += [letter.token for letter in word]
            said = " ".join(reason.text for reason in reasons)
            if not said or (answer and answer.split() != said.split()):
                raise InputError("This model hears something else here: only what it hears itself is explained.")
            yield Explained(said, tuple(reasons), speech_why.sights(samples, tokens))

    @property
    def _blank(self) -> int:
        """The token between two letters."""
        return int(self._model.config.pad_token_id)

    def _language(self, code: str) -> str:
        """The language of what is heard, as far as the row or the user says so."""
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        known = list(LANGUAGES)
        own = known if "many" in self.spec.languages else list(self.spec.languages)
        return checked(code, own, known, self.spec.title) or (own[0] if len(own) == 1 else "")

    def _frames(self, clips: Sequence[Clip]) -> tuple[list[NDArray[np.float32]], float]:
        """Probabilities of the tokens in each frame of each clip, (frames, tokens), and the seconds of a frame."""
        shortest = int(SHORTEST * RATE)
        sounds = [np.pad(clip.samples, (0, max(0, shortest - len(clip.samples)))) for clip in clips]
        batch = self._processor.feature_extractor(sounds, sampling_rate=RATE, padding=True, return_tensors="pt")
        inputs = {
            name: value.to(self.device, self._dtype if value.is_floating_point() else value.dtype)
            for name, value in batch.items()
        }
        with torch.inference_mode():
            chances = self._model(**inputs).logits.float().softmax(-1).cpu().numpy()
        second = max(len(sound) for sound in sounds) / RATE / chances.shape[1]
        ends = [round(len(clip.samples) / RATE / second) for clip in clips]
        return [one[:end] for one, end in zip(chances, ends, strict=True)], second

    def _words(self, found: Iterable[Letter], begin: float, second: float) -> Iterator[Word]:
        """The words of a clip that begins at `begin`; its frames have `second` seconds each."""
        for word in self._spelled(found):
            yield self._word(word, begin, second)

    def _spelled(self, found: Iterable[Letter]) -> Iterator[list[Letter]]:
        """The letters of each word."""
        word: list[Letter] = []
        for letter in found:
            if letter.token in self._unspoken:
                continue
            between = letter.token == self._delimiter or letter.token.startswith((SPACE, " "))
            if between and word:
                yield word
                word = []
            if letter.token != self._delimiter and letter.token.strip(f"{SPACE} "):
                word.append(letter)
        if word:
            yield word

    def _word(self, word: Sequence[Letter], begin: float, second: float) -> Word:
        text = "".join(letter.token for letter in word).replace(SPACE, " ").strip()
        return Word(
            round(begin + word[0].start * second, 3),
            round(begin + word[-1].end * second, 3),
            text.lower() if self._capitals else text,
            float(np.mean([letter.probability for letter in word])),
        )


def letters(chances: NDArray[np.float32], tokens: Sequence[str], blank: int) -> Iterator[Letter]:
    """The best token of each frame, equal neighbours as one, without the blank.

    Args:
        chances: (frames, tokens).
    """
    best = chances.argmax(-1)
    cuts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    for start, end in pairwise(cuts):
        if start < end and best[start] != blank:
            token = int(best[start])
            yield Letter(tokens[token], start, end, float(chances[start:end, token].mean()))

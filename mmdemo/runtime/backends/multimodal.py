"""Models of `transformers` that take pictures, sound and video in one chat: Qwen2.5-Omni and its kin.

Of a model that speaks too, only the part that reads and writes (its thinker) is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from PIL import Image

from mmdemo.results import Segment
from mmdemo.runtime.backends import checkpoint, generation, image_text_why, speech_why, whisper_text
from mmdemo.runtime.backends.image_text import PIXELS, ImageTextBackend
from mmdemo.runtime.backends.languages import checked
from mmdemo.runtime.backends.prefixes import with_prompts
from mmdemo.runtime.backends.prompts import shrunk
from mmdemo.runtime.backends.speech_seq2seq import AT_ONCE, SHORTEST, TOKENS
from mmdemo.runtime.base import RATE, Audio, Clip, Heard, Hearing, Load
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.explaining import Explained, Given

FRAME = 200_000
"""Pixels that a frame of a video is shrunk to."""


class MultimodalBackend(ImageTextBackend):
    """A `Describer`, a `Transcriber` and a `runtime.base.Multimodal`."""

    auto = "AutoModelForMultimodalLM"
    longest = 30.0
    """Longest clip that it is given at once, in seconds."""

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration, and what is kept of the prompts that were read last."""
        return with_prompts(checkpoint.estimate(request, MultimodalBackend.auto))

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """One segment for each clip, in the clips' order; see `runtime.base.Transcriber`. It is asked in a chat.

        Raises:
            UnknownName: for a language code that nobody knows.
        """
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        code = checked(hearing.language, list(LANGUAGES), list(LANGUAGES), self.spec.title)
        told = asked_to_write(hearing, LANGUAGES.get(code, ""))
        most = AT_ONCE[self.device] if self._tokenizer.pad_token_id is not None else 1
        for begin in range(0, len(clips), most):
            part = clips[begin : begin + most]
            for clip, text in zip(part, self._heard(part, told, hearing.left), strict=True):
                if text and whisper_text.repetitiveness(text) <= whisper_text.TOO_REPETITIVE:
                    end = clip.start + len(clip.samples) / RATE
                    yield Heard(Segment(clip.start, end, text), clip.source, code, 1.0 if code else 0.0)

    def needs(self) -> Mapping[str, int]:
        """One picture, or the sound of a clip."""
        return {"vision": 1, "audio": round(self.longest)}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`: of a picture what it sees there, of a sound alone what it heard."""
        for one in given:
            if one.frames:
                yield from super().explain([one], answer)
                continue
            samples, told = speech_why.sound_of(one.sound), asked_to_write(Hearing(), "")
            said = answer or self._heard([Clip(samples)], told, lambda: False)[0]
            content = [{"type": "audio", "audio": lengthened(samples)}, {"type": "text", "text": told}]
            inputs = self._chatted([[{"role": "user", "content": content}]])
            reasons, tokens = image_text_why.explained(self._model, self._tokenizer, inputs, said, None)
            yield Explained(said, reasons, speech_why.sights(samples, tokens))

    def reply(
        self,
        question: str,
        *,
        images: Sequence[Image.Image] = (),
        sounds: Sequence[Audio] = (),
        frames: Sequence[Image.Image] = (),
        seconds: float = 0.0,
        max_words: int = 60,
    ) -> Iterator[str]:
        """Pieces of the answer as they come; see `runtime.base.Multimodal`."""
        content: list[dict[str, Any]] = [
            {"type": "image", "image": shrunk(image, PIXELS[self.device])} for image in images
        ]
        content += [{"type": "audio", "audio": lengthened(sound)} for sound in sounds]
        more: dict[str, Any] = {}
        if frames:
            content.append({"type": "video", "video": [np.asarray(shrunk(frame, FRAME)) for frame in frames]})
            rate = len(frames) / seconds if seconds else 1.0
            more["videos_kwargs"] = {"do_sample_frames": False, "fps": rate}
        chat = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
        running = generation.parts(
            self._model,
            self._tokenizer,
            self._chatted([chat], **more),
            1,
            threads=self._threads,
            max_new_tokens=generation.tokens_for(max_words),
            **self._options,
        )
        with closing(running):
            yield from (piece for _, piece in running)

    def _heard(self, clips: Sequence[Clip], told: str, left: Callable[[], bool]) -> list[str]:
        """What was said in each clip."""
        chats = [
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "audio", "audio": lengthened(clip.samples)},
                        {"type": "text", "text": told},
                    ],
                }
            ]
            for clip in clips
        ]
        texts = [""] * len(clips)
        longest = max(len(clip.samples) for clip in clips) / RATE
        running = generation.texts(
            self._model,
            self._tokenizer,
            self._chatted(chats),
            len(clips),
            threads=self._threads,
            max_new_tokens=max(8, int(TOKENS * longest)),
            left=[left] * len(clips),
            **self._options,
        )
        with closing(running):
            for row, text, _ in running:
                texts[row] = text.strip()
        return texts


def asked_to_write(hearing: Hearing, language: str) -> str:
    """What the model is told beside a recording.

    Args:
        language: the English name of the language that is spoken, or empty.
    """
    told = "Translate what is said in this recording into English." if hearing.translate else (
        "Write down word for word what is said in this recording."
    )  # fmt: skip
    if language:
        told += f" It is in {language.capitalize()}."
    if hearing.prompt.strip():
        told += f" Names and terms in it: {hearing.prompt.strip()}."
    return f"{told} Only the text."


def lengthened(samples: Audio) -> Audio:
    """The sound, with silence after it if it is too short for the convolutions in front."""
    return np.pad(samples, (0, max(0, int(SHORTEST * RATE) - len(samples))))

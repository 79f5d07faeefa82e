"""A model on a server that speaks OpenAI's protocol (vLLM, SGLang, llama-server, Ollama): it looks, talks and hears.

Nothing is loaded here: pictures, sound and words go to the server that the row names, and text comes back as it is
written. Pictures and frames travel as data URLs, sound as WAV.
"""

from __future__ import annotations

import base64
import copy
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from PIL import Image

from mmdemo.catalog import Remote
from mmdemo.errors import ServerRefused, UnknownName
from mmdemo.remote_rows import host_of
from mmdemo.results import Segment, Word
from mmdemo.runtime.backends.prompts import PROMPTS, shrunk
from mmdemo.runtime.base import RATE, Audio, Clip, Heard, Hearing, Load, Seen
from mmdemo.runtime.remote import Server

PIXELS = 1_600_000
"""A larger picture is shrunk to so many pixels before it is sent."""
QUALITY = 92
"""Of the JPEG that is sent, with all its colours: words in a picture stay legible."""
WORD = 2
"""Tokens a word may take, generously."""
LISTEN = "Write down what is said in this recording, word for word. Only the words."
SURE = 0.9
"""Probability of a language that the server names; it does not say how sure it is."""
CODES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "german": "de", "french": "fr", "spanish": "es",
    "italian": "it", "portuguese": "pt", "dutch": "nl", "russian": "ru", "japanese": "ja", "korean": "ko",
    "arabic": "ar", "hindi": "hi", "turkish": "tr", "polish": "pl", "ukrainian": "uk", "swedish": "sv",
}  # fmt: skip
"""Whisper's names of languages, which some servers give instead of the code."""


class RemoteBackend:
    """A `Describer`, `Talker` and `Transcriber` that asks a server."""

    def __init__(self, request: Load) -> None:
        """Ask the server whether it is there.

        Raises:
            Unreachable: it is not.
            ServerFailed: it refuses the key, or is no such server.
            Cancelled.
        """
        self.spec = request.spec
        source = next(source for source in request.spec.sources if isinstance(source, Remote))
        self._server = Server(source)
        self._source = source
        self.device = host_of(source.url)
        self._plain = threading.Event()
        request.go_on()
        self.heeding(request.cancelled)._server.models()

    @staticmethod
    def size(request: Load) -> int:
        """Bytes it takes here: none to speak of."""
        return 0

    def heeding(self, cancelled: Callable[[], bool]) -> RemoteBackend:
        """See `runtime.base.Patient`."""
        request = copy.copy(self)
        request._server = copy.copy(self._server)
        request._server.cancelled = cancelled
        return request

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come, for several pictures at the same time; closing the iterator closes the connections.

        Raises:
            UnknownName: for a style that there is not.
            Unreachable, ServerFailed, Cancelled.
        """
        if not question and style not in self.spec.styles:
            raise UnknownName("style", style, self.spec.styles)
        prompt = question or PROMPTS[style]
        bodies = [body([picture(image), text(prompt)], WORD * max_words) for image in images]
        texts = [""] * len(bodies)
        with closing(self._server.chat(bodies)) as answers:
            for index, piece in answers:
                texts[index] += piece
                yield Seen(index, texts[index].lstrip())
        for index, whole in enumerate(texts):
            yield Seen(index, whole.strip(), done=True)

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """
        asked = {"messages": list(messages), "max_tokens": max_tokens, "temperature": 0}
        with closing(self._server.chat([asked])) as answers:
            for _, piece in answers:
                yield piece

    def watch(self, frames: Sequence[Image.Image], *, question: str, max_words: int) -> Iterator[str]:
        """Pieces of an answer about a video, of which `frames` are seen, in order of time.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """
        parts = [video(frames)] if self._source.video == "video_url" else [picture(frame) for frame in frames]
        with closing(self._server.chat([body([*parts, text(question)], WORD * max_words)])) as answers:
            for _, piece in answers:
                yield piece

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """Segments of all clips, in their order; with times inside a clip where the server has them.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """
        sounds = [wav(clip.samples) for clip in clips]
        if self._source.hears == "chat":
            heard = self._in_chat(sounds, clips, hearing)
        else:
            heard = self._transcripts(sounds, hearing)
        for clip, told in zip(clips, heard, strict=True):
            language = code_of(told.get("language")) or hearing.language
            for segment in segments(clip, told, hearing.words):
                yield Heard(segment, clip.source, language, SURE if language else 0.0)

    def close(self) -> None:
        """Nothing is held here."""

    def _transcripts(self, sounds: Sequence[bytes], hearing: Hearing) -> list[dict[str, Any]]:
        """With times where the server can; one that cannot is asked for the words alone, from then on."""
        path = "audio/translations" if hearing.translate else "audio/transcriptions"
        fields: dict[str, Any] = {"temperature": "0"}
        fields |= {"language": hearing.language} if hearing.language and not hearing.translate else {}
        fields |= {"prompt": hearing.prompt} if hearing.prompt else {}
        if not self._plain.is_set():
            kinds = ["segment", "word"] if hearing.words else ["segment"]
            timed = {**fields, "response_format": "verbose_json", "timestamp_granularities[]": kinds}
            try:
                return self._all(path, sounds, timed)
            except ServerRefused:
                self._plain.set()
        return self._all(path, sounds, {**fields, "response_format": "json"})

    def _all(self, path: str, sounds: Sequence[bytes], fields: dict[str, Any]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        with closing(self._server.listen(path, sounds, fields)) as answers:
            found.update(answers)
        return [found[index] for index in range(len(sounds))]

    def _in_chat(self, sounds: Sequence[bytes], clips: Sequence[Clip], hearing: Hearing) -> list[dict[str, Any]]:
        """The words alone, of a model that is given sound as part of a message."""
        prompt = LISTEN if not hearing.translate else f"{LISTEN} In English."
        prompt += f" It may have these names and terms: {hearing.prompt}." if hearing.prompt else ""
        most = max(int(len(clip.samples) / RATE) for clip in clips) * 8 + 32  # tokens, at a fast speaker's pace
        texts = [""] * len(sounds)
        with closing(self._server.chat([body([sound(one), text(prompt)], most) for one in sounds])) as answers:
            for index, piece in answers:
                texts[index] += piece
        return [{"text": one} for one in texts]


def body(parts: Sequence[dict[str, Any]], max_tokens: int) -> dict[str, Any]:
    """A request with one message of several parts; greedy, so that the same question gets the same answer."""
    return {"messages": [{"role": "user", "content": list(parts)}], "max_tokens": max_tokens, "temperature": 0}


def text(words: str) -> dict[str, Any]:
    """Words as a part of a message."""
    return {"type": "text", "text": words}


def picture(image: Image.Image) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{jpeg(image)}"}}


def video(frames: Sequence[Image.Image]) -> dict[str, Any]:
    """The frames of a video as one part of a message, as vLLM reads them: JPEGs with commas between them."""
    return {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + ",".join(map(jpeg, frames))}}


def sound(wave: bytes) -> dict[str, Any]:
    """A WAV file as a part of a message."""
    data = base64.b64encode(wave).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def jpeg(image: Image.Image) -> str:
    """A picture as a JPEG in base64, with at most `PIXELS`."""
    out = io.BytesIO()
    shrunk(image.convert("RGB"), PIXELS).save(out, "JPEG", quality=QUALITY, subsampling=0)
    return base64.b64encode(out.getvalue()).decode("ascii")


def wav(samples: Audio) -> bytes:
    """Samples from −1 to 1 at `RATE` a second, (samples,), as a WAV file of 16 bits."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def segments(clip: Clip, told: dict[str, Any], words: bool) -> Iterator[Segment]:
    """The segments of a transcript, in seconds from the start of the clip's file; without times one for the clip."""
    length = len(clip.samples) / RATE
    timed = [one for one in told.get("segments") or () if isinstance(one, dict) and _span(one, length)]
    spoken = [
        Word(round(clip.start + span[0], 3), round(clip.start + span[1], 3), str(one.get("word", "")).strip(), 1.0)
        for one in (told.get("words") or () if words else ())
        if isinstance(one, dict) and (span := _span(one, length))
    ]
    if not timed:
        whole = str(told.get("text") or "").strip()
        if whole:
            yield Segment(clip.start, round(clip.start + length, 3), whole, words=tuple(spoken))
        return
    for one in timed:
        start, end = _span(one, length) or (0.0, length)
        said = str(one.get("text") or "").strip()
        begin, stop = round(clip.start + start, 3), round(clip.start + end, 3)
        mine = tuple(word for word in spoken if begin <= (word.start + word.end) / 2 < stop)
        if said:
            yield Segment(begin, stop, said, words=mine)


def _span(entry: dict[str, Any], length: float) -> tuple[float, float] | None:
    """Start and end of an entry, within the clip; None if it has none."""
    start, end = entry.get("start"), entry.get("end")
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not 0 <= start <= end:
        return None
    return min(float(start), length), min(float(end), length)


def code_of(language: object) -> str:
    """The ISO 639-1 code of a language that a server names; empty for what is none."""
    name = language.strip().lower() if isinstance(language, str) else ""
    return name if len(name) == 2 and name.isalpha() else CODES.get(name, "")

"""Text to speech through `transformers`: VITS and MMS-TTS make samples at once; SpeechT5 a spectrogram and a vocoder.

Both draw at random how they speak; the same seed speaks the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmdemo.errors import Unsupported, WeightsError
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.base import Load, Spoken
from mmdemo.runtime.estimates import Estimate, Part

PACKAGES = {"is_uroman": "uroman", "phonemize": "phonemizer"}
"""What a tokenizer needs that says so: letters of any script as Latin ones, text as sounds."""
WIDTH = torch.float32
"""What all of it computes in: sums of waves of half precision are heard."""

VOCODER = "speecht5-hifigan"
"""Key of the row, and name of the folder, with the network that makes sound of SpeechT5's spectrograms."""


class SpeechOutBackend:
    """A `Speaker`: VITS and its kin, one network from letters to samples."""

    def __init__(self, request: Load) -> None:
        """Load the folder.

        Raises:
            WeightsError: the files are no such checkpoint, or weights are missing.
            Unsupported: its tokenizer needs a package that is not installed.
            Cancelled: the user stopped while it was loading.
        """
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        folder = request.folders[request.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        checkpoint.quiet()
        request.go_on()
        self._tokenizer: Any = checkpoint.opened(self.spec.title, folder, lambda: tokenizer_of(folder))
        for flag, package in PACKAGES.items():
            if getattr(self._tokenizer, flag, False) and find_spec(package) is None:
                raise Unsupported(
                    f"{self.spec.title} needs the package {package} to read text, which is not installed: install it, "
                    "or choose another voice."
                )
        request.go_on()
        self._open(request)

    def _open(self, request: Load) -> None:
        from transformers import AutoModelForTextToWaveform

        self._model: Any = checkpoint.open_model(AutoModelForTextToWaveform, request, dtype=WIDTH)
        self.voices = max(1, int(self._model.config.num_speakers))
        self._rate = int(self._model.config.sampling_rate)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration."""
        return checkpoint.estimate(request, "AutoModelForTextToWaveform", dtype=WIDTH)

    def close(self) -> None:
        """Free the memory."""
        self._model = self._tokenizer = None
        checkpoint.give_back(self.device)

    def speak(self, text: str, *, speed: float = 1.0, voice: int = 0, seed: int = 0) -> Spoken:
        """The text as sound; see `runtime.base.Speaker`.

        Raises:
            Unsupported: there is no such voice, or nothing in the text that the model can say, or too much.
        """
        if not 0 <= voice < self.voices:
            raise Unsupported(
                f"{self.spec.title} has the voices 0 to {self.voices - 1}, not {voice}: choose one of them."
            )
        inputs = self._tokenizer(text.strip(), return_tensors="pt")
        self._check(inputs)
        checkpoint.use_threads(self._threads)
        cards = [torch.cuda.current_device()] if self.device == "cuda" else []
        with torch.random.fork_rng(devices=cards), torch.inference_mode():
            torch.manual_seed(seed)
            wave = self._wave(inputs.to(self._model.device), speed, voice)
        samples = wave.float().clamp(-1.0, 1.0).cpu().numpy()
        return Spoken(samples, self._rate)

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        """Refuse a text without a letter that the model knows."""
        silent = {self._tokenizer.pad_token_id, self._tokenizer.unk_token_id, self._tokenizer.eos_token_id, 0}
        if not set(inputs["input_ids"].flatten().tolist()) - silent:
            raise Unsupported(
                f"{self.spec.title} finds nothing in that text that it can say: write it in letters of its language."
            )

    def _wave(self, inputs: Mapping[str, Tensor], speed: float, voice: int) -> Tensor:
        """Samples of one text, (samples,)."""
        rate = float(self._model.config.speaking_rate) * speed
        return self._model(**inputs, speaker_id=voice, speaking_rate=rate).waveform[0]  # type: ignore[no-any-return]


class SpeechT5Backend(SpeechOutBackend):
    """A `Speaker`: SpeechT5 with its vocoder, a part of the row or a folder of that name among its files.

    Its voice is a vector that describes a speaker, from `speaker.safetensors` in its folder (a tensor of any name), or
    all zeros.
    """

    def _open(self, request: Load) -> None:
        from transformers import AutoModelForTextToSpectrogram, SpeechT5HifiGan

        self._model: Any = checkpoint.open_model(AutoModelForTextToSpectrogram, request, dtype=WIDTH)
        request.go_on()
        self._vocoder: Any = checkpoint.open_model(SpeechT5HifiGan, request, folder=vocoder_in(request), dtype=WIDTH)
        self._speaker = speaker_in(request.folders[request.spec.key], int(self._model.config.speaker_embedding_dim))
        self.voices = 1
        self._rate = int(self._vocoder.config.sampling_rate)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory with its vocoder, from their configurations."""
        own = checkpoint.estimate(request, "AutoModelForTextToSpectrogram", dtype=WIDTH)
        vocoder = checkpoint.estimate(request, "SpeechT5HifiGan", folder=vocoder_in(request), dtype=WIDTH)
        count = sum(part.parameters for part in vocoder.parts)
        return Estimate((*own.parts, Part("vocoder", count, vocoder.weights)), own.cache, own.activations,
                        tokens=own.tokens, dtype=own.dtype)  # fmt: skip

    def close(self) -> None:
        """Free the memory."""
        self._vocoder = None
        super().close()

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        most = int(self._model.config.max_text_positions)
        if inputs["input_ids"].shape[1] > most:
            raise Unsupported(f"That is too long for {self.spec.title}: give it at most {most} letters at once.")
        super()._check(inputs)

    def _wave(self, inputs: Mapping[str, Tensor], speed: float, voice: int) -> Tensor:
        speaker = self._speaker[None].to(self._model.device, WIDTH)
        frames = self._model.generate_speech(inputs["input_ids"], speaker)  # (frames, mel bins)
        if speed != 1.0:  # the model has no speed of its own: its frames are drawn closer together or apart
            length = max(1, round(len(frames) / speed))
            frames = functional.interpolate(frames.T[None], size=length, mode="linear")[0].T
        return self._vocoder(frames)  # type: ignore[no-any-return]


class VocoderBackend:
    """A vocoder by itself. It is loaded with what it is a part of; by itself it does nothing."""

    def __init__(self, request: Load) -> None:
        """Load the folder.

        Raises:
            WeightsError: the files are no such checkpoint, or weights are missing.
        """
        from transformers import SpeechT5HifiGan

        self.spec = request.spec
        self.device = request.device
        self._model: Any = checkpoint.open_model(SpeechT5HifiGan, request, dtype=WIDTH)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration."""
        return checkpoint.estimate(request, "SpeechT5HifiGan", dtype=WIDTH)

    def close(self) -> None:
        """Free the memory."""
        self._model = None
        checkpoint.give_back(self.device)


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a checkpoint."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def vocoder_in(request: Load) -> Path:
    """The folder of the vocoder: a part of the row, or inside its own folder."""
    own = request.folders[request.spec.key]
    return next((folder for key, folder in request.folders.items() if key != request.spec.key), own / VOCODER)


def speaker_in(folder: Path, width: int) -> Tensor:
    """The vector of a checkpoint's speaker, (width,).

    Raises:
        WeightsError: there is a file with another one.
    """
    from safetensors.torch import load_file

    file = folder / "speaker.safetensors"
    if not file.is_file():
        return torch.zeros(width)
    found = next(iter(checkpoint.opened(folder.name, folder, lambda: load_file(file)).values())).flatten()
    if len(found) != width:
        raise WeightsError(
            f"speaker.safetensors in {folder} has {len(found)} numbers and not the {width} of its model: replace it."
        )
    return torch.as_tensor(found)

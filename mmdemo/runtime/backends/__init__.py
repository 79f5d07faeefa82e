"""Engines: one file each, named lazily so that nothing heavy is imported before it is used.

A backend class is called with a `runtime.base.Load` and follows `runtime.base.Backend`. If a checkpoint takes
another size in memory than on the disk, the class has a static `size(request)`. To add an engine, add a file and a line
here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mmdemo.errors import UnknownName
from mmdemo.folders import bytes_in
from mmdemo.runtime.base import Backend, Load

BACKENDS: dict[str, str] = {
    "fusion": "mmdemo.runtime.backends.fusion:FusionBackend",
    "labels": "mmdemo.runtime.backends.labels:LabelsBackend",
    "faster_whisper": "mmdemo.runtime.backends.faster_whisper:FasterWhisperBackend",
    "speech_seq2seq": "mmdemo.runtime.backends.speech_seq2seq:SpeechSeq2SeqBackend",
    "image_text": "mmdemo.runtime.backends.image_text:ImageTextBackend",
    "causal_lm": "mmdemo.runtime.backends.causal_lm:CausalLMBackend",
    "embedder": "mmdemo.runtime.backends.embedder:EmbedderBackend",
}


def size(request: Load) -> int:
    """Bytes the checkpoint will take in memory: what its engine says (`size(request)`), else the size of its files.

    Raises:
        UnknownName: with the engines there are.
        WeightsError: for a checkpoint that the engine cannot read.
    """
    own = getattr(_engine(request), "size", None)
    return own(request) if own else sum(bytes_in(folder) for folder in request.folders.values())


def load(request: Load) -> Backend:
    """Load a checkpoint with the engine its row names.

    Raises:
        UnknownName: with the engines there are.
        WeightsError: for a checkpoint that the engine cannot read.
    """
    backend: Backend = _engine(request)(request)
    return backend


def _engine(request: Load) -> Any:
    """The class of the row's engine."""
    if request.spec.backend not in BACKENDS:
        raise UnknownName("engine", request.spec.backend, BACKENDS)
    module, _, name = BACKENDS[request.spec.backend].partition(":")
    return getattr(import_module(module), name)

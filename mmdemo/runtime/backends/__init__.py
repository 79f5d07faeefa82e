"""Engines: one file each, named lazily so that nothing heavy is imported before it is used.

A backend class is called with a `runtime.base.Load` and follows `runtime.base.Backend`. If a checkpoint takes
another size in memory than on the disk, the class has a static `estimate(request)`, or `size(request)` if it cannot
tell the weights from the rest. To add an engine, add a file and a line here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

from mmdemo.errors import UnknownName
from mmdemo.runtime import stored, trust
from mmdemo.runtime.base import Backend, Load
from mmdemo.runtime.estimates import Estimate, Part

BACKENDS: dict[str, str] = {
    "fusion": "mmdemo.runtime.backends.fusion:FusionBackend",
    "chain": "mmdemo.runtime.backends.chain:ChainBackend",
    "classifier": "mmdemo.runtime.backends.classifier:ClassifierBackend",
    "labels": "mmdemo.runtime.backends.labels:LabelsBackend",
    "faster_whisper": "mmdemo.runtime.backends.faster_whisper:FasterWhisperBackend",
    "speech_seq2seq": "mmdemo.runtime.backends.speech_seq2seq:SpeechSeq2SeqBackend",
    "speech_ctc": "mmdemo.runtime.backends.speech_ctc:SpeechCTCBackend",
    "speech_vits": "mmdemo.runtime.backends.speech_out:SpeechOutBackend",
    "speech_t5": "mmdemo.runtime.backends.speech_out:SpeechT5Backend",
    "vocoder": "mmdemo.runtime.backends.speech_out:VocoderBackend",
    "image_text": "mmdemo.runtime.backends.image_text:ImageTextBackend",
    "multimodal": "mmdemo.runtime.backends.multimodal:MultimodalBackend",
    "causal_lm": "mmdemo.runtime.backends.causal_lm:CausalLMBackend",
    "openvino_lm": "mmdemo.runtime.backends.openvino_lm:OpenVinoLMBackend",
    "llama_cpp": "mmdemo.runtime.backends.llama_cpp:LlamaCppBackend",
    "remote": "mmdemo.runtime.backends.remote:RemoteBackend",
    "towers": "mmdemo.runtime.backends.towers:TowersBackend",
    "embedder": "mmdemo.runtime.backends.embedder:EmbedderBackend",
}

_one = threading.RLock()
WAIT = 0.1
"""Seconds between two looks whether who waits for it has left."""


@contextmanager
def _alone(request: Load) -> Iterator[None]:
    """Let one thread at a time import engines and build models: `transformers` makes its modules when they are first
    asked for, which two threads at once can find half made; and an estimate builds without memory, for all threads.

    Raises:
        Cancelled: the user stopped while another one was loaded.
    """
    while not _one.acquire(timeout=WAIT):
        request.go_on()
    try:
        yield
    finally:
        _one.release()


def estimate(request: Load) -> Estimate:
    """What the checkpoint will take in memory: what its engine says, else the size of its files.

    Raises:
        UnknownName: with the engines there are.
        WeightsError: for a checkpoint that the engine cannot read, or that is dangerous (see `trust`).
    """
    trust.check(request)
    with _alone(request):
        found = _estimate(request)
    return replace(found, stored=tuple(stored.weights_in(request.folders)))


def _estimate(request: Load) -> Estimate:
    """What the engine says, or else the files."""
    engine = _engine(request)
    if hasattr(engine, "estimate"):
        return engine.estimate(request)  # type: ignore[no-any-return]
    if hasattr(engine, "size"):
        return Estimate((Part("weights", 0, engine.size(request)),))
    return Estimate(tuple(Part(key, 0, stored.bytes_of(folder)) for key, folder in request.folders.items()))


def load(request: Load) -> Backend:
    """Load a checkpoint with the engine its row names.

    Raises:
        UnknownName: with the engines there are.
        WeightsError: for a checkpoint that the engine cannot read, or that is dangerous (see `trust`).
    """
    trust.check(request)
    with _alone(request):
        backend: Backend = _engine(request)(request)
    return backend


def _engine(request: Load) -> Any:
    """The class of the engine that runs the checkpoint so."""
    key = request.spec.backend
    if key not in BACKENDS:
        raise UnknownName("engine", key, BACKENDS)
    return _class(_faster(request, key))


def _faster(request: Load, key: str) -> str:
    """Another engine for the same files, where it measured better (docs/benchmarks.md): OpenVINO for GGUF on a CPU."""
    if key != "causal_lm" or request.device != "cpu" or request.quantization not in ("auto", "int4"):
        return key
    from mmdemo.runtime.backends import gguf_graph

    folder = request.folders[request.spec.key]
    packed = None if any(folder.glob("*.safetensors")) else next(iter(sorted(folder.glob("*.gguf"))), None)
    return "openvino_lm" if packed and gguf_graph.readable(packed) else key


def _class(key: str) -> Any:
    """The class of an engine."""
    module, _, name = BACKENDS[key].partition(":")
    return getattr(import_module(module), name)

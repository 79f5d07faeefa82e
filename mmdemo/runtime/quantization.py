"""How the weights of a checkpoint may be held in memory: for each engine and device, what works there.

Fewer bits take less memory; whether they are faster too depends on the device. The order of a list is that of what was
measured (docs/benchmarks.md), the default first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mmdemo.errors import UnknownName, Unsupported
from mmdemo.specs import Hub, Local, ModelSpec

NAMES = ("auto", "fp32", "bf16", "fp16", "int8", "int4")
"""`auto` is the engine's own choice; the others are bits of a weight, and how they are coded."""

BITS = {"fp32": 32.0, "bf16": 16.0, "fp16": 16.0, "int8": 8.0, "int4": 4.5}
"""Bits of a weight in memory; 4-bit weights share a scale between 32 or 64 of them."""


@dataclass(frozen=True)
class Way:
    """One way to hold weights.

    Attributes:
        needs: a package that must be installed for it.
        slower: it saves memory and takes longer here than the default.
        rougher: answers get worse by more than a little.
    """

    name: str
    needs: str = ""
    slower: bool = False
    rougher: bool = False


TORCH: Mapping[str, tuple[Way, ...]] = {
    "cpu": (
        Way("auto"),
        Way("fp32", slower=True),
        Way("bf16"),
        Way("int8"),  # faster for one answer, slower for several at once and for long prompts (experiments.md)
        Way("int4", needs="bitsandbytes", slower=True, rougher=True),
    ),
    "cuda": (
        Way("auto"),
        Way("fp32", slower=True),
        Way("bf16"),
        Way("fp16"),
        Way("int8", needs="bitsandbytes", slower=True),
        Way("int4", needs="bitsandbytes", rougher=True),
    ),
    "mps": (Way("auto"), Way("fp32", slower=True), Way("fp16")),
}
"""What `transformers` models run as."""

WHISPER: Mapping[str, tuple[Way, ...]] = {
    "cpu": (Way("auto"), Way("int8"), Way("fp32", slower=True)),
    "cuda": (Way("auto"), Way("fp16"), Way("int8"), Way("fp32", slower=True)),
}
"""What CTranslate2 runs Whisper as."""

PLAIN: Mapping[str, tuple[Way, ...]] = {place: (Way("auto"), Way("fp32")) for place in ("cpu", "cuda", "mps")}

EMBEDDING: Mapping[str, tuple[Way, ...]] = {**PLAIN, "cpu": (Way("auto"), Way("fp32", slower=True))}
"""What encoders of text run as, in float32: on a CPU `auto` is OpenVINO, `fp32` torch (docs/experiments.md)."""

SPEAKING: Mapping[str, tuple[Way, ...]] = {**PLAIN, "cpu": (*PLAIN["cpu"], Way("int8"))}
"""What makes sound runs as: half precision is heard."""

GGUF: Mapping[str, tuple[Way, ...]] = {
    **TORCH,
    "cpu": (
        Way("auto"),
        Way("int4", rougher=True),
        Way("int8", slower=True),
        Way("fp32", slower=True),
        Way("bf16", slower=True),
    ),
}
"""What a GGUF file runs as: on a CPU in OpenVINO, with the weights as they are in the file (`auto`) or with zero points
rounded (`int4`), or unpacked in `transformers` (the rest)."""

CHAIN: Mapping[str, tuple[Way, ...]] = {
    "cpu": (Way("auto"), Way("fp32"), Way("bf16", slower=True), Way("int8")),
    "cuda": (Way("auto"), Way("fp32"), Way("bf16"), Way("fp16")),
    "mps": (Way("auto"), Way("fp32")),
}
"""What a composed chain runs as."""

WAYS: Mapping[str, Mapping[str, tuple[Way, ...]]] = {
    "causal_lm": TORCH,
    "gguf": GGUF,
    "image_text": TORCH,
    "multimodal": TORCH,
    "speech_seq2seq": TORCH,
    "speech_ctc": TORCH,
    "speech_vits": SPEAKING,
    "speech_t5": SPEAKING,
    "vocoder": PLAIN,
    "faster_whisper": WHISPER,
    "fusion": PLAIN,
    "chain": CHAIN,
    "labels": PLAIN,
    "embedder": EMBEDDING,
    "classifier": PLAIN,
    "towers": PLAIN,
}
"""By engine, a key of `runtime.backends.BACKENDS` or `gguf` for such files, and device. The rest has `auto` alone."""


def ways(spec: ModelSpec, device: str) -> tuple[Way, ...]:
    """What a row offers on a device, as far as the packages for it are installed."""
    return tuple(way for way in _all(spec, device) if not way.needs or find_spec(way.needs) is not None)


def way(spec: ModelSpec, device: str, name: str) -> Way:
    """The way of that name.

    Raises:
        UnknownName: there is no such name at all.
        Unsupported: this row does not offer it on this device; lists what it offers, or the package to install.
    """
    if name not in NAMES:
        raise UnknownName("quantization", name, NAMES)
    for offered in _all(spec, device):
        if offered.name == name:
            if offered.needs and find_spec(offered.needs) is None:
                raise Unsupported(
                    f"{spec.title} runs in {name} with the package {offered.needs}, which is not installed: "
                    f"install it, or choose one of: {', '.join(way.name for way in ways(spec, device))}."
                )
            return offered
    raise Unsupported(
        f"{spec.title} does not run in {name} on this device ({device}); "
        f"choose one of: {', '.join(way.name for way in ways(spec, device))}."
    )


def remark(way: Way) -> str:
    """What is known to be worse about a way than about the default; empty if nothing."""
    return " and ".join(
        word for word, so in (("slower here than auto", way.slower), ("answers get worse", way.rougher)) if so
    )


def can_be_spread(spec: ModelSpec, name: str) -> bool:
    """Whether the layers may lie on several devices: those of `transformers` models whose weights are whole."""
    return _ways_of(spec) in (TORCH, GGUF) and name in ("auto", "fp32", "bf16", "fp16")


def _all(spec: ModelSpec, device: str) -> tuple[Way, ...]:
    """What a row could offer, whatever is installed."""
    return _ways_of(spec).get(device, (Way("auto"),))


def _ways_of(spec: ModelSpec) -> Mapping[str, tuple[Way, ...]]:
    """By device; weights that come packed are taken as they come."""
    if spec.packed:
        return {}
    return WAYS.get("gguf" if spec.backend == "causal_lm" and _packed(spec) else spec.backend, {})


def _packed(spec: ModelSpec) -> bool:
    """Whether the row's weights are in a GGUF file."""
    if spec.files:
        return any(file.name.endswith(".gguf") for file in spec.files)
    if any(name.endswith(".gguf") for source in spec.sources if isinstance(source, Hub) for name in source.patterns):
        return True
    folders = [Path(source.folder) for source in spec.sources if isinstance(source, Local)]
    return any(any(folder.glob("*.gguf")) and not any(folder.glob("*.safetensors")) for folder in folders)

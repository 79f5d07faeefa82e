"""What a chain can be made of: the choices as options, and the parts there are. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mmdemo import catalog
from mmdemo.options import option
from mmdemo.specs import ModelSpec

FUSIONS = ("concat", "attention", "gated-cross-attention", "cross-attention")
PROJECTORS = ("linear", "mlp")
ALIGNMENTS = (*PROJECTORS, "siamese", "svm")
"""Into the language model's space by a projector; pictures or sound and sentences into a space of two towers; or, as a
baseline, classes by a linear SVM. The last two do without a language model."""
READER = "all-minilm-l6-v2"
"""What reads the sentences of two towers, if nothing is chosen."""
TUNINGS = ("auto", "lora", "full", "head")
FRESH = "patches"
"""An encoder of pictures or sound that is learned with the rest."""
DECODERS = ("transformer", "lstm")
"""Language models that are learned from nothing."""
Role = Literal["vision", "audio", "text", "language"]


@dataclass(frozen=True)
class Compose:
    """A chain: encoders → projectors → fusion → language model."""

    vision: str = option(
        "efficientnet-lite2", "Pictures", "Encoder of pictures: a key, a folder, or patches for one that is learned "
        "with the rest; empty: the chain sees nothing.", advanced=False,
    )  # fmt: skip
    audio: str = option(
        "", "Sound", "Encoder of sound: a key, a folder, or patches for one that is learned with the rest; empty: the "
        "chain hears nothing.", advanced=False,
    )  # fmt: skip
    text: str = option(
        "", "Text", "Encoder of a text or question beside the media: a key or a folder; empty: none.", advanced=False
    )
    projector: str = option(
        "mlp", "Alignment", "How features meet words; two towers and an SVM do without a language model.",
        choices=ALIGNMENTS, advanced=False,
    )  # fmt: skip
    fusion: str = option(
        "concat", "Fusion", "How the modalities are joined with the words.", choices=FUSIONS, advanced=False
    )
    language: str = option(
        "smollm2-135m-instruct", "Language model", "What writes: a key, a folder, or transformer or lstm for a small "
        "one that is learned from nothing.", advanced=False,
    )  # fmt: skip
    tuning: str = option(
        "auto", "Tuning", "What of the language model is learned: adapters, all of it, or nothing but what stands "
        "before it; auto: adapters if it can write already, else all.", choices=TUNINGS,
    )  # fmt: skip
    frames: int = option(1, "Frames", "Pictures that are read as one video.", minimum=1, maximum=64, step=1)
    queries: int = option(
        16, "Queries", "Of the fusion attention: so many vectors gather what was seen and heard.", minimum=1,
        maximum=512, step=1,
    )  # fmt: skip
    fusion_layers: int = option(2, "Fusion layers", "Of the learned queries.", minimum=1, maximum=24, step=1)
    fusion_heads: int = option(
        0, "Fusion heads", "Of the queries and gates; 0: one for about 64 channels.", minimum=0, maximum=64, step=1
    )
    gate_every: int = option(
        4,
        "Gate every",
        "Of gated-cross-attention: a gate before every so-manieth layer.",
        minimum=1,
        maximum=64,
        step=1,
    )
    audio_pool: int = option(
        8, "Sound pooling", "So many positions of the sound in a row become one.", minimum=1, maximum=500, step=1
    )
    modality_dropout: float = option(
        0.1, "Modality dropout", "How often one of several modalities is left out while learning.", minimum=0,
        maximum=0.9,
    )  # fmt: skip
    width: int = option(
        256, "Width", "Channels of a language model that is learned from nothing.", minimum=16, maximum=4096, step=16
    )
    layers: int = option(
        4, "Layers", "Of a language model that is learned from nothing.", minimum=1, maximum=64, step=1
    )
    tokenizer: str = option(
        "starter-describer", "Tokenizer", "Whose tokens a language model that is learned from nothing writes: a key or "
        "a folder.",
    )  # fmt: skip
    lora_rank: int = option(16, "LoRA rank", "Of the adapters' matrices.", minimum=1, maximum=1024)

    @property
    def chosen(self) -> Mapping[Role, str]:
        """The parts by their role, without those that are left out."""
        named: dict[Role, str] = {
            "vision": self.vision, "audio": self.audio, "text": self.text, "language": self.language,
        }  # fmt: skip
        if self.projector not in PROJECTORS:
            named["language"] = ""
        if self.projector == "siamese":
            named["text"] = self.text or READER
        return {role: name for role, name in named.items() if name}

    @property
    def method(self) -> str:
        """The method of training that the tuning stands for."""
        if self.projector not in PROJECTORS:
            return {"siamese": "head"}.get(self.projector, self.projector)
        if self.tuning != "auto":
            return self.tuning
        return "full" if self.language in DECODERS else "lora"


@dataclass(frozen=True)
class Choice:
    """A part that may be chosen.

    Attributes:
        value: what the field of `Compose` is given: a key of the catalog, or one of our own words.
        fresh: it is learned from nothing.
    """

    value: str
    title: str
    about: str = ""
    bytes: int = 0
    fresh: bool = False


def _reads(*engines: str) -> Callable[[ModelSpec], bool]:
    return lambda row: row.backend in engines


_PARTS: dict[Role, tuple[Callable[[ModelSpec], bool], tuple[Choice, ...]]] = {
    "vision": (_reads("labels"), (Choice(FRESH, "Patches", "16 × 16 pixels each, learned with the rest.", 0, True),)),
    "audio": (
        lambda row: row.backend in ("faster_whisper", "speech_ctc") or "whisper" in row.key,
        (Choice(FRESH, "Patches", "Pieces of a spectrogram, learned with the rest.", 0, True),),
    ),
    "text": (_reads("embedder"), ()),
    "language": (
        _reads("causal_lm"),
        (
            Choice("transformer", "Transformer", "A small decoder that is learned from nothing.", 0, True),
            Choice("lstm", "LSTM", "A small recurrent decoder that is learned from nothing.", 0, True),
        ),
    ),
}


def parts(role: Role) -> tuple[Choice, ...]:
    """What may be chosen for a role: rows of the catalog, those of the starter first, then what is fresh.

    Any folder with a checkpoint of that kind may be given as well.
    """
    fits, fresh = _PARTS[role]
    rows = sorted((row for row in catalog.ROWS if fits(row)), key=lambda row: not row.starter)
    return (*(Choice(row.key, row.title, row.about, row.bytes) for row in rows), *fresh)


def name_of(options: Compose) -> str:
    """A name for the folder of a chain: its parts and how they are joined."""
    seen = [name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] for name in options.chosen.values()]
    if options.projector not in PROJECTORS:
        return "-".join([*seen, options.projector])
    return "-".join([*seen[:-1], options.fusion, *seen[-1:]]).removeprefix("-")

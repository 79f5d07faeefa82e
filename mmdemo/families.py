"""Families of checkpoints: what a configuration says, the engine that runs it, and how it is asked. Pure data.

To run another family with an engine that is here, add a row to `FAMILIES`. Most need none: whatever sees and has a
chat template, or talks, or embeds, is known by its architecture alone (`folders.family_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmdemo.specs import STYLES, Task


@dataclass(frozen=True)
class Family:
    """Checkpoints whose `config.json` says so.

    Attributes:
        kind: how `model_type` begins.
        ending: how the name of the architecture ends.
        engine: a key of `runtime.backends.BACKENDS`.
        prompts: for a model that is not asked in a chat: style → what it is told beside the picture. Without any it
            is told nothing and writes a sentence.
        question: the same for a question, which stands for `{question}`; empty if it does not answer.
        parts: keys of rows that it is assembled from; one whose files lie in a folder of that name beside its own is
            taken from there.
        packs: whether a CPU can hold its linear layers in 8 bits; not if their weights are read past the layers.
    """

    kind: str
    ending: str
    engine: str
    tasks: tuple[Task, ...]
    prompts: Mapping[str, str] = field(default_factory=dict)
    question: str = ""
    parts: tuple[str, ...] = ()
    packs: bool = True

    def fits(self, kind: str, architecture: str) -> bool:
        """Whether a configuration is of this family."""
        return kind.startswith(self.kind) and architecture.endswith(self.ending)


FAMILIES = (
    Family("mmdemo_fusion", "", "fusion", ("describe",), dict.fromkeys(STYLES[:3], ""), parts=("efficientnet-lite2",)),
    Family("mmdemo_siamese", "", "towers", ("align",)),
    Family("mmdemo_classes", "", "classifier", ("classify-image-text",)),
    Family("", "ForSequenceClassification", "classifier", ("classify-text",)),
    Family("", "ForTokenClassification", "classifier", ("classify-text",)),
    Family("", "ForImageClassification", "classifier", ("classify",)),
    Family("", "ForAudioClassification", "classifier", ("classify-audio",)),
    Family("wavlm", "ForCTC", "speech_ctc", ("transcribe",), packs=False),
    Family("", "ForCTC", "speech_ctc", ("transcribe",)),
    Family("whisper", "", "speech_seq2seq", ("transcribe",)),
    Family("moonshine", "", "speech_seq2seq", ("transcribe",)),
    Family("speech_to_text", "", "speech_seq2seq", ("transcribe",)),
    Family("speecht5", "ForSpeechToText", "speech_seq2seq", ("transcribe",)),
    Family("speecht5", "ForTextToSpeech", "speech_t5", ("speak",), parts=("speecht5-hifigan",)),
    Family("", "SpeechT5HifiGan", "vocoder", ("vocode",)),
    Family("vits", "VitsModel", "speech_vits", ("speak",)),
    Family("vision-encoder-decoder", "", "image_text", ("describe",)),
    Family("qwen2_5_omni", "", "multimodal", ("describe", "transcribe")),
    Family(
        "florence2", "", "image_text", ("describe",),
        {"sentence": "<CAPTION>", "alt": "<DETAILED_CAPTION>", "paragraph": "<MORE_DETAILED_CAPTION>"},
    ),
    Family(
        "paligemma", "", "image_text", ("describe",),
        {"sentence": "<image>caption en", "paragraph": "<image>describe en"}, "<image>answer en {question}",
    ),
)  # fmt: skip
"""The first that fits counts."""


def of(kind: str, architecture: str) -> Family | None:
    """The family of a configuration; None if it needs no row of its own.

    Args:
        kind: its `model_type`.
        architecture: the first of its `architectures`.
    """
    return next((family for family in FAMILIES if family.fits(kind, architecture)), None)

"""Checkpoints of the Hub that listen, speak, or do several things: rows of the catalog, pure data."""

from __future__ import annotations

from mmdemo.specs import STYLES, Hub, ModelSpec, Task


def on_hub(
    key: str, title: str, backend: str, tasks: tuple[Task, ...], repo: str, gigabytes: float, millions: float,
    licence: str, about: str, **more: object,
) -> ModelSpec:  # fmt: skip
    """A row whose files are the repository's own."""
    return ModelSpec(
        key,
        title,
        backend,
        tasks,
        (Hub(repo),),
        licence,
        about,
        repo,
        int(gigabytes * 1e9),
        millions,
        **more,  # type: ignore[arg-type]
    )


ROWS = (
    on_hub("qwen2.5-omni-3b", "Qwen2.5-Omni 3B", "multimodal", ("describe", "transcribe"), "Qwen/Qwen2.5-Omni-3B",
           11.1, 5540, "Qwen Research (not for commercial use)",
           "Sees, hears and watches in one model; wants a 16 GB card.", styles=STYLES, answers=True,
           languages=("many",)),
    on_hub("florence-2-base", "Florence-2 base", "image_text", ("describe",), "florence-community/Florence-2-base",
           0.46, 232, "MIT", "Describes briefly or at length; small, and answers no questions.",
           styles=("sentence", "alt", "paragraph")),
    on_hub("wav2vec2-base-960h", "wav2vec2 base 960h", "speech_ctc", ("transcribe",), "facebook/wav2vec2-base-960h",
           0.38, 94.4, "Apache-2.0", "English, with times of words from the sound itself; small letters, no points."),
    on_hub("mms-tts-eng", "MMS-TTS English", "speech_vits", ("speak",), "facebook/mms-tts-eng", 0.15, 36.3,
           "CC-BY-NC-4.0 (not for commercial use)", "Reads English text aloud; small and fast."),
    on_hub("speecht5-tts", "SpeechT5", "speech_t5", ("speak",), "microsoft/speecht5_tts", 0.59, 144.4, "MIT",
           "Reads English text aloud in the voice of a speaker.", parts=("speecht5-hifigan",)),
    on_hub("speecht5-hifigan", "SpeechT5 HiFi-GAN", "vocoder", ("vocode",), "microsoft/speecht5_hifigan", 0.05, 13.0,
           "MIT", "Makes sound of SpeechT5's spectrograms."),
)  # fmt: skip

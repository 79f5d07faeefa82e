"""What a data set can train: the Hub's names of tasks, from which fields its rows have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmdemo.datasets.rows import Row

Test = Callable[[Row], bool]

TASKS: dict[str, Test] = {
    "image-to-text": lambda row: bool(row.image and row.targets and not row.text),
    "image-text-to-text": lambda row: bool(row.image and (row.messages or (row.text and row.targets))),
    "video-text-to-text": lambda row: bool(row.video and (row.targets or row.messages)),
    "automatic-speech-recognition": lambda row: bool((row.audio or row.video) and row.targets and not row.text),
    "audio-text-to-text": lambda row: bool(row.audio and row.messages),
    "image-text-classification": lambda row: bool(row.image and row.text and row.label),
    "image-classification": lambda row: bool(row.image and row.label),
    "audio-classification": lambda row: bool(row.audio and row.label),
    "video-classification": lambda row: bool(row.video and row.label),
    "text-classification": lambda row: bool(row.text and row.label),
    "image-text-token-classification": lambda row: bool(row.image and row.tags),
    "token-classification": lambda row: bool(row.tags),
    "text-image-retrieval": lambda row: bool(row.image and row.targets and not row.text),
    "text-generation": lambda row: not row.media and bool(row.messages or (row.text and row.targets)),
}
"""Task to whether a row can train it. A row of `video-text-to-text` with speech can train what is said in it, too."""

ENOUGH = 0.5
"""The share of rows that must have what a task needs."""
CLASSIFIES = (
    "image-text-classification", "image-classification", "audio-classification", "video-classification",
    "text-classification",
)  # fmt: skip


def tasks(rows: Sequence[Row], layout: str = "") -> tuple[str, ...]:
    """The tasks that at least half the rows can train, the likeliest first. One class only trains no classifier."""
    found: list[str] = []
    one_class = len({row.label for row in rows if row.label}) < 2
    for name, fits in TASKS.items():
        count = sum(map(fits, rows))
        if not count or count < ENOUGH * len(rows) or (name in CLASSIFIES and one_class):
            continue
        if name == "automatic-speech-recognition" and layout != "subtitles" and not any(row.audio for row in rows):
            continue  # captions of videos are what is seen; subtitles what is said
        found.append(name)
    named = any(set(row.tags) - {"O"} for row in rows)
    return tuple(name for name in found if named or "token-classification" not in name)

"""What a command line names: files, and folders as the files inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmdemo.media.endings import PICTURES, SOUNDS, VIDEOS

INSIDE = {"describe": PICTURES, "caption": VIDEOS, "transcribe": SOUNDS | VIDEOS, "why": PICTURES | VIDEOS | SOUNDS,
          "align": PICTURES | SOUNDS, "classify": PICTURES | SOUNDS | {".txt"}}  # fmt: skip
"""The endings a task picks from a folder. A file that is named itself is tried whatever its ending."""

NOUNS = {
    "describe": "pictures", "caption": "videos", "transcribe": "recordings", "why": "pictures or recordings",
    "align": "pictures or recordings", "classify": "pictures, recordings or texts",
}  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Files to work on, and a sentence for each name that cannot be one."""

    files: tuple[Path, ...]
    refused: tuple[tuple[str, str], ...]


def expand(task: str, names: Iterable[str]) -> Inputs:
    """The files that `names` stand for: a folder gives the files in it that the task can read, by name, not deeper."""
    files: list[Path] = []
    refused: list[tuple[str, str]] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in INSIDE[task])
            files += inside
            if not inside:
                refused.append((name, f"There are no {NOUNS[task]} in the folder {name}: name the files themselves."))
        elif path.exists():
            files.append(path)
        else:
            refused.append((name, f"There is no file {name}: check the path."))
    return Inputs(tuple(files), tuple(refused))


def targets(files: Iterable[Path], out: Path, ending: str) -> dict[Path, Path]:
    """Where each file's result goes inside the folder `out`: `talk.wav` as `talk.srt`.

    Two files that would meet keep their whole names (`talk.wav.srt`), and from the third on get a number.
    """
    taken: set[Path] = set()
    result: dict[Path, Path] = {}
    for file in dict.fromkeys(files):
        candidates = [out / f"{file.stem}.{ending}", out / f"{file.name}.{ending}"]
        number = 2
        while candidates[0] in taken:
            candidates.pop(0)
            if not candidates:
                candidates.append(out / f"{file.name}-{number}.{ending}")
                number += 1
        result[file] = candidates[0]
        taken.add(candidates[0])
    return result

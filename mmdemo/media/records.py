"""Results as JSON objects: one shape for the command line, the page's downloads and its endpoints."""

from __future__ import annotations

from typing import Any

from mmdemo.media.subtitles import in_order
from mmdemo.results import (
    Classification,
    Description,
    Explanation,
    Nearness,
    Reason,
    Segment,
    Speech,
    Track,
    Transcript,
)

Result = Description | Transcript | Track | Speech | Explanation | Nearness | Classification


def record(result: Result, file: str = "") -> dict[str, Any]:
    """The JSON object of one result; times in seconds, to the millisecond.

    A file that failed gives `file` and `error` alone. A result that still grows also has `done` (false) and, for sound
    and video, `progress` (0 to 1).

    Args:
        file: what to call the file; empty: as the result does.
    """
    name = file or result.file
    if result.error:
        return {"file": name, "error": result.error}
    found: dict[str, Any] = {
        "file": name,
        "text": result.text,
        "model": result.provenance.model,
        "seconds": _ms(result.provenance.seconds),
    }
    if isinstance(result, Description):
        if result.question:
            found["question"] = result.question
        if result.prompt:
            found["prompt"] = result.prompt
        found["labels"] = [{"name": x.name, "probability": round(x.probability, 4)} for x in result.labels]
        found["text_read"] = list(result.text_read)
    elif isinstance(result, Explanation):
        found["words"] = [_reason(one) for one in result.reasons]
        found["tokens"] = list(result.sights.tokens)
        found["read"] = list(result.sights.read)
        found["times"] = [_ms(time) for time in result.sights.times]
    elif isinstance(result, Nearness):
        found["scores"] = [
            {"text": text, "score": round(x, 4)} for text, x in zip(result.texts, result.scores, strict=True)
        ]
    elif isinstance(result, Classification):
        found["labels"] = [{"name": x.name, "probability": round(x.probability, 4)} for x in result.labels]
        found["entities"] = [
            {"text": x.text, "kind": x.kind, "start": x.start, "end": x.end, "probability": round(x.probability, 4)}
            for x in result.entities
        ]
    elif isinstance(result, Speech):
        found["duration"] = _ms(result.seconds)
        found["rate"] = result.rate
    else:
        found["language"] = result.language
        found["duration"] = _ms(result.seconds)
        found["segments"] = [_segment(in_order(one)) for one in result.segments]
    found["device"] = result.provenance.device
    if result.provenance.notes:
        found["notes"] = list(result.provenance.notes)
    if not result.done:
        found["done"] = False
        if not isinstance(result, Description | Explanation | Nearness | Classification):
            found["progress"] = round(result.progress, 4)
    return found


def _reason(one: Reason) -> dict[str, Any]:
    """A word: `looked` by modality as frames of rows of columns, `without` as probabilities."""
    return {
        "text": one.text,
        "probability": round(one.probability, 4),
        "looked": {name: [[[round(x, 4) for x in row] for row in frame] for frame in weights.tolist()]
                   for name, weights in one.looked.items()},
        "without": {name: round(value, 4) for name, value in one.without.items()},
    }  # fmt: skip


def _segment(one: Segment) -> dict[str, Any]:
    """A segment; `words` only where there are any."""
    row: dict[str, Any] = {"start": _ms(one.start), "end": _ms(one.end), "text": one.text, "kind": one.kind}
    if one.words:
        row["words"] = [
            {"start": _ms(w.start), "end": _ms(w.end), "text": w.text, "probability": round(w.probability, 4)}
            for w in one.words
        ]
    return row


def _ms(seconds: float) -> float:
    return round(seconds, 3)

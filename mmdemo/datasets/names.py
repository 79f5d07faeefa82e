"""Which names of columns mean which field of a row, and which names mean which split: pure data and look-ups."""

from __future__ import annotations

import re
from pathlib import PurePath

FIELDS: dict[str, tuple[str, ...]] = {
    "image": ("image", "images", "img", "image_path", "image_file", "image_name", "image_id", "imgid", "picture",
              "photo", "img_path", "image_filepath"),
    "audio": ("audio", "audios", "audio_path", "audio_file", "audio_filepath", "wav", "wav_path", "recording", "speech",
              "sound", "wav_filename"),
    "video": ("video", "videos", "video_path", "video_file", "clip", "video_id", "movie"),
    "file": ("file_name", "file", "filename", "path", "filepath", "file_path", "media", "media_path", "name"),
    "targets": ("captions", "caption", "transcription", "transcript", "transcriptions", "normalized_text",
                "normalized_transcription", "raw_transcription", "answers", "answer", "output", "response",
                "completion", "summary", "references", "reference", "target_text", "description", "alt_text",
                "alt", "targets", "after"),
    "text": ("text", "sentence", "question", "prompt", "instruction", "query", "utterance", "input", "content",
             "review", "tweet", "headline", "notes", "document", "problem", "words", "source_text", "title"),
    "label": ("label", "label_text", "labels", "category", "class", "intent", "sentiment", "topic", "finding",
              "emotion", "diagnosis", "rating", "stars", "class_name", "coarse_label"),
    "tokens": ("tokens",),
    "tags": ("ner_tags", "tags", "ner"),
    "messages": ("messages", "conversations", "conversation", "chat", "dialog", "dialogue"),
    "start": ("start", "start_time", "begin", "start_seconds"),
    "end": ("end", "end_time", "stop", "end_seconds"),
    "language": ("language", "lang", "locale", "lang_id"),
    "split": ("split", "subset", "set", "partition", "fold"),
}  # fmt: skip
"""Field to the names of columns that are taken for it, the likeliest first. `file` becomes image, audio or video by
the endings of what it holds. `text` is what is learned, not what is given, beside a recording, and beside a picture
or video that has neither captions nor a label."""

MEANT = {name: field for field, names in FIELDS.items() for name in names}
NUMBERED = re.compile(r"(caption|sentence|transcription|answer|reference|comment)s?[ _-]?\d+")

SPLIT_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "val", "valid", "dev", "development", "eval", "evaluation", "testa"),
    "test": ("test", "testing", "tst", "testb", "heldout"),
}
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}


def plain(column: str) -> str:
    """A column's name in lower case with underscores."""
    return re.sub(r"[\s\-.]+", "_", column.strip().lower())


def is_known(column: str) -> bool:
    """Whether a column of this name means something."""
    return plain(column) in MEANT or bool(NUMBERED.fullmatch(plain(column)))


def is_text(column: str) -> bool:
    """Whether a column of this name holds sentences."""
    return MEANT.get(plain(column)) in ("text", "targets")


def split_of(name: str) -> str:
    """The split that a value of a split column means: `val` is `validation`; empty for a name that means none."""
    return SPLIT_OF.get(name.strip().lower(), "")


def split_in(path: str | PurePath) -> str:
    """The split in a file's or folder's name: `train-00000-of-00002.parquet`, `eng.testa`, `wnut17train.conll`."""
    words = re.findall(r"[a-z]+", str(path).lower())
    found = [SPLIT_OF[word] for word in words if word in SPLIT_OF]
    return found[-1] if found else ""

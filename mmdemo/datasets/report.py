"""What is to be known of a data set before it trains anything: a dataclass, made by one pure function of its rows."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdemo.datasets import checks, languages, purposes
from mmdemo.datasets.checks import Copies, Media
from mmdemo.datasets.problems import Finding
from mmdemo.datasets.rows import Dataset, Row
from mmdemo.settings import Settings

LONG_TEXT = 2_000
"""Words that few models here take at once."""
FEW = 5
"""Rows of a class that are few to learn it from."""
SKEW = 20
"""Times that the largest class is the smallest before it is said."""
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
"""Chinese characters and kana count one each, as tokenizers and error rates take them."""


@dataclass(frozen=True)
class Texts:
    """Texts that are learned, or read where none is learned. Words; `tokens` where a tokenizer counted them, else 0."""

    words: int = 0
    mean: float = 0.0
    longest: int = 0
    tokens: int = 0
    empty: int = 0
    very_long: int = 0


@dataclass(frozen=True)
class Report:
    """What a data set is and what is wrong with it.

    Attributes:
        tasks: what it can train, as the Hub names it, the likeliest first.
        splits: rows by split, "" for those that are divided at training.
        media: rows by kind.
        labels: rows by class, the largest first; tags: entities by kind.
        languages: of a sample of the texts, or as the rows say.
        findings: what the user should know or do, one sentence each.
        problems: what the reader left out or repaired.
        usable: there is something to train.
    """

    name: str
    layout: str
    columns: Mapping[str, str]
    rows: int
    tasks: tuple[str, ...]
    splits: Mapping[str, int]
    media: Mapping[str, int]
    opened: Media
    copies: Copies
    texts: Texts
    labels: Mapping[str, int]
    tags: Mapping[str, int]
    languages: Mapping[str, int]
    findings: tuple[str, ...]
    problems: tuple[str, ...]
    fingerprint: str = ""

    @property
    def usable(self) -> bool:
        """Whether any task can be trained with at least two rows."""
        return bool(self.tasks) and self.rows - len(self.opened.broken) >= 2

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {"usable": self.usable, **dataclasses.asdict(self)}


def examined(
    dataset: Dataset,
    settings: Settings,
    *,
    seconds: float = 20.0,
    count_tokens: Callable[[str], int] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Report:
    """Look at every row, and open media for at most `seconds`.

    Args:
        count_tokens: the tokenizer of the model that is to be trained; without one, words are counted alone.
    """
    rows = dataset.rows
    opened = checks.media(rows, settings, seconds, cancelled)
    copied = checks.copies(rows, cancelled)
    labels = Counter(row.label for row in rows if row.label)
    told = Counter(row.language for row in rows if row.language)
    learned = [text for row in rows for text in _texts(row)]
    texts = _measured(rows, count_tokens)
    found = Report(
        name=dataset.name,
        layout=dataset.layout,
        columns=dict(dataset.columns),
        rows=len(rows),
        tasks=purposes.tasks(rows, dataset.layout),
        splits=dict(Counter(row.split for row in rows)),
        media={kind: n for kind in ("image", "audio", "video") if (n := sum(1 for r in rows if getattr(r, kind)))},
        opened=opened,
        copies=copied,
        texts=texts,
        labels=dict(labels.most_common()),
        tags=dict(Counter(tag[2:] for row in rows for tag in row.tags if tag.startswith("B-")).most_common()),
        languages=dict(told.most_common()) if told else languages.found(learned),
        findings=(),
        problems=dataset.problems,
        fingerprint="" if copied.unread else dataset.fingerprint,
    )
    return dataclasses.replace(found, findings=tuple(_findings(found, rows)))


def words(text: str) -> int:
    """How many words, or Chinese characters and kana."""
    return len(WORD.findall(text))


def _texts(row: Row) -> tuple[str, ...]:
    """What is learned of a row; what is read where that is a class."""
    answers = tuple(m["content"] for m in row.messages if m["role"] == "assistant")
    return (
        row.targets or answers or ((row.text,) if row.text else ()) or ((" ".join(row.tokens),) if row.tokens else ())
    )


def _measured(rows: Sequence[Row], count_tokens: Callable[[str], int] | None) -> Texts:
    expected = any(_texts(row) for row in rows)
    counts = [words(text) for row in rows for text in _texts(row)]
    if not counts:
        return Texts()
    return Texts(
        words=sum(counts),
        mean=round(sum(counts) / len(counts), 1),
        longest=max(counts),
        tokens=sum(count_tokens(text) for row in rows for text in _texts(row)) if count_tokens else 0,
        empty=sum(1 for row in rows if expected and not any(map(words, _texts(row)))),
        very_long=sum(count > LONG_TEXT for count in counts),
    )


def _findings(report: Report, rows: Sequence[Row]) -> list[str]:
    """Sentences, the gravest first."""
    found: list[str] = []
    if not report.tasks:
        found.append(_no_task(report))
    if report.rows < 2:
        found.append(Finding("There is one row, and at least two are needed: one to learn from and one to test on."))
    found += report.opened.broken[:20]
    found += _counted(report)
    found += report.copies.crossing[:5] + report.copies.contradictions[:5] + report.opened.long[:5]
    found += _balance(report, rows)
    if len(report.languages) > 1 and min(list(report.languages.values())[:2]) >= 2:
        told = ", ".join(f"{code} {count:,}" for code, count in list(report.languages.items())[:8])
        found.append(
            Finding(f"Texts are in several languages ({told}): a model learns to mix them unless that is wanted.")
        )
    return found


def _counted(report: Report) -> list[str]:
    """What there is many of, each kind in one sentence."""
    broken, unopened, copies, texts = len(report.opened.broken), report.opened.unopened, report.copies, report.texts
    crossing, contradictions, long = len(copies.crossing), len(copies.contradictions), len(report.opened.long)
    told = (
        (broken, Finding(f"Files that are broken or missing, to be fixed or left out with their rows: {broken:,}.")),
        (
            unopened,
            Finding(f"Files that were not opened, since that would have taken long, and may be broken: {unopened:,}."),
        ),
        (crossing, Finding(f"Contents in more than one split, so that a test would be no test: {crossing:,}.")),
        (contradictions, Finding(f"Contents with two labels, to be decided for one: {contradictions:,}.")),
        (copies.same, Finding(f"Rows that are copies of others and teach nothing new: {copies.same:,}.")),
        (long, Finding(f"Rows that last longer than a model takes at once, to be cut: {long:,}.")),
        (texts.empty, Finding(f"Rows without words to learn or read: {texts.empty:,}.")),
        (
            texts.very_long,
            Finding(f"Texts of more than {LONG_TEXT:,} words, which would be cut off: {texts.very_long:,}."),
        ),
    )
    return [sentence for count, sentence in told if count]


def _no_task(report: Report) -> str:
    if len(report.labels) == 1:
        return Finding(
            f"All rows are of one class, {next(iter(report.labels))}: add rows of another, "
            "since there is nothing to tell apart."
        )
    taken = ", ".join(f"{column} → {field}" for column, field in report.columns.items())
    return Finding(
        "It is not clear what is to be learned: say which column holds the text, the label or the caption "
        f"(columns taken: {taken or '–'})."
    )


def _balance(report: Report, rows: Sequence[Row]) -> list[str]:
    found: list[str] = []
    counts = list(report.labels.values())
    few = [label for label, count in report.labels.items() if count < FEW]
    if len(counts) > 1 and few:
        found.append(
            Finding(
                f"Classes with fewer than {FEW} rows, to be added to or merged: {len(few):,} ({', '.join(few[:5])})."
            )
        )
    if len(counts) > 1 and counts[0] > SKEW * counts[-1]:
        names = list(report.labels)
        found.append(
            Finding(
                f"The class {names[0]} has {counts[0]:,} rows and {names[-1]} has {counts[-1]:,}: "
                "accuracy alone will mislead."
            )
        )
    bare = sum(1 for row in rows if not row.label)
    if counts and bare:
        found.append(Finding(f"Rows without a label, which are not used to classify: {bare:,}."))
    return found

"""What a search may choose from: a range of numbers or a few values for fields of a run, as text and as data."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from mmdemo.errors import InputError, UnknownName
from mmdemo.options import check
from mmdemo.settings import YES_NO
from mmdemo.training.config import TrainOptions

if TYPE_CHECKING:
    from mmdemo.training.recipes.base import Recipe

WIDE = 10.0
"""A range of which the end is so many times the beginning is drawn from by its logarithm."""
KEPT = ("task", "data", "also", "model", "seed", "device", "language", "validation", "evaluate_every", "evaluate_rows",
        "checkpoint_every", "steps", "minutes")  # fmt: skip
"""Fields that a search does not change: what is learned, how it is measured, and what the search itself decides."""
HIGHEST_DROPOUT, HIGHEST_SMOOTHING = 0.3, 0.2
MADE_WITH = 0.1
"""The dropout that encoders are usually made with."""
RANKS = (4, 64)


@dataclass(frozen=True)
class Range:
    """What one field of a run may be.

    Attributes:
        low, high: of a number, both included; `log` if it is drawn by its logarithm.
        values: to choose from, in place of a range.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    values: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it is a whole number."""
        return get_type_hints(TrainOptions)[self.name] is int

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}={','.join(_text(value) for value in self.values)}"
        return f"{self.name}={self.low:g}..{self.high:g}"

    def draw(self, trial: Any) -> Any:
        """A value for a trial of Optuna."""
        if self.values:
            return trial.suggest_categorical(self.name, self.values)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether a value is one of those it may be."""
        return value in self.values if self.values else self.low <= value <= self.high


def parse(text: str) -> tuple[Range, ...]:
    """Ranges as people write them: `learning_rate=1e-5..1e-3`, `batch=8,16,32`; a line or a semicolon between two.

    Raises:
        UnknownName: a field does not exist, or is nothing to search for; lists those that are.
        InputError: a range is not written so, or is out of the field's bounds.
    """
    found: dict[str, Range] = {}
    for part in filter(None, (piece.strip() for piece in re.split(r"[;\n]", text))):
        one = _one(part)
        found[one.name] = one
    return tuple(found.values())


def _one(part: str) -> Range:
    name, sign, said = (piece.strip() for piece in part.partition("="))
    name = name.replace("-", "_")
    known = {field.name: field for field in dataclasses.fields(TrainOptions) if field.name not in KEPT}
    if not sign or not said:
        raise InputError(f"A range is written field=low..high or field=one,other, not {part!r}.")
    if name not in known:
        raise UnknownName("field to search for", name, known)
    kind = get_type_hints(TrainOptions)[name]
    low, dots, high = said.partition("..")
    if dots:
        if kind not in (int, float):
            raise InputError(f"{name} is no number: write its values with commas between them, not {said!r}.")
        ends = [check(known[name], kind, _value(name, kind, end)) for end in (low, high)]
        if not ends[0] < ends[1]:
            raise InputError(f"The range of {name} ends before it begins: {said!r}.")
        return Range(name, ends[0], ends[1], log=ends[0] > 0 and ends[1] / ends[0] >= WIDE)
    values = tuple(check(known[name], kind, _value(name, kind, one)) for one in said.split(","))
    return Range(name, values=tuple(dict.fromkeys(values)))


def _value(name: str, kind: Any, text: str) -> Any:
    try:
        return YES_NO[text.strip().lower()] if kind is bool else kind(text.strip())
    except (KeyError, ValueError):
        raise InputError(f"The range of {name} has {text.strip()!r} in it, which is of the wrong kind.") from None


def _text(value: Any) -> str:
    return (
        ("yes" if value else "no")
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def offered(options: TrainOptions, kind: type[Recipe], rows: int) -> tuple[Range, ...]:
    """What is searched for if nobody says: fields that matter to the task and the method, around their usual values.

    A field that the options set themselves stays as it is. Nothing matters to what is fitted at once.

    Args:
        rows: to learn from.
    """
    if not kind.methods[options.method]:
        return ()
    usual = _usual(options, kind, rows)
    rate, epochs, batch = usual["learning_rate"], usual["epochs"], usual["batch"]
    most = max(1, min(2 * batch, rows))
    found = {
        "learning_rate": Range("learning_rate", _rounded(rate / 8), _rounded(4 * rate), log=True),
        "epochs": Range("epochs", max(1, epochs // 2), max(2, 2 * epochs)),
        "batch": Range("batch", values=tuple(sorted({min(most, size) for size in (batch // 2, batch, 2 * batch)}))),
        "label_smoothing": Range("label_smoothing", 0.0, HIGHEST_SMOOTHING),
    }
    if kind.drops:
        found["dropout"] = Range("dropout", 0.0, HIGHEST_DROPOUT)
    if options.method in ("lora", "qlora"):
        found["lora_rank"] = Range("lora_rank", *RANKS, log=True)
    default = TrainOptions()
    return tuple(one for name, one in found.items() if getattr(options, name) == getattr(default, name))


def first(ranges: Iterable[Range], options: TrainOptions, kind: type[Recipe], rows: int) -> dict[str, Any]:
    """The usual settings, which are tried first: what is found is to be better than they are.

    Those that are outside the ranges are left out, and drawn.
    """
    usual = _usual(options, kind, rows)
    return {one.name: usual[one.name] for one in ranges if one.holds(usual[one.name])}


def _usual(options: TrainOptions, kind: type[Recipe], rows: int) -> Mapping[str, Any]:
    """The options with a number where 0, or -1, stands for what suits."""
    from mmdemo.training.plan import usual_epochs

    values = dataclasses.asdict(options)
    values["learning_rate"] = options.learning_rate or kind.methods[options.method]
    values["epochs"] = options.epochs or usual_epochs(kind, max(1, rows))
    values["batch"] = options.batch or min(kind.step_rows, max(1, rows))
    if options.dropout < 0:  # as checkpoints are usually made; adapters have none
        values["dropout"] = 0.0 if options.method in ("lora", "qlora") else MADE_WITH
    return values


def _rounded(value: float) -> float:
    """To two digits that count."""
    return float(f"{value:.1e}") if value and math.isfinite(value) else value


def written(ranges: Sequence[Range]) -> str:
    """Ranges as `parse` reads them, one a line."""
    return "\n".join(map(str, ranges))

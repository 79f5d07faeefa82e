"""One dataclass is the form, the command-line flags, the API parameters and the saved file.

An options class is a frozen dataclass whose fields are made by `option`. `build` makes one from loose values and
refuses names and values it does not know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from mmdemo.errors import InputError, UnknownName

T = TypeVar("T")
WORDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}
"""What a kind of value is called in a sentence."""


@dataclass(frozen=True)
class Meta:
    """What a form needs to know about a field. `label` and `help` are English; the interface translates them.

    Attributes:
        task: for a field that names a checkpoint, what that must be able to do: a `specs.Task`.
        language: the field is an ISO 639-1 code of a spoken language, or empty where it is to be detected.
        place: for a field with a place of its own in an interface (`question`), which; a form leaves it out.
    """

    label: str
    help: str = ""
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    advanced: bool = True
    task: str = ""
    language: bool = False
    place: str = ""


def option(default: Any, label: str, help: str = "", **meta: Any) -> Any:
    """A dataclass field with its label, help and bounds."""
    return dataclasses.field(default=default, metadata={"meta": Meta(label, help, **meta)})


def meta(field: dataclasses.Field[Any]) -> Meta:
    """The `Meta` of a field made by `option`."""
    return field.metadata["meta"]  # type: ignore[no-any-return]


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the options dataclass `cls` from loose values (a form, a JSON object, flags).

    Raises:
        UnknownName: for a field or a choice that does not exist.
        InputError: for a value of the wrong kind or out of bounds.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    for name in values:
        if name not in known:
            raise UnknownName("option", name, known)
    return cls(**{name: check(known[name], hints[name], value) for name, value in values.items()})


def check(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """`value` as the field's kind, within its choices and bounds."""
    about = meta(field)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not kind or value in (math.inf, -math.inf) or value != value:  # NaN would pass every bound
        raise InputError(f"{about.label} is {value!r}, but must be {WORDS.get(kind, kind.__name__)}.")
    if about.choices and value not in about.choices:
        raise UnknownName(about.label.lower(), value, about.choices)
    if about.minimum is not None and value < about.minimum:
        raise InputError(f"{about.label} is {value}, but must be at least {about.minimum:g}.")
    if about.maximum is not None and value > about.maximum:
        raise InputError(f"{about.label} is {value}, but must be at most {about.maximum:g}.")
    return value

"""The fields of an options dataclass as command-line flags."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, get_type_hints

from mmdemo.options import meta


def add_flags(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """One flag a field: `max_words: int` becomes `--max-words N`, `words: bool` becomes `--words` and `--no-words`.

    A flag that is not given leaves no trace in the namespace, so that the dataclass alone holds the defaults.
    """
    group = parser.add_argument_group("task options")
    hints = get_type_hints(options)
    for field in dataclasses.fields(options):
        kind, about = hints[field.name], meta(field)
        flag = "--" + field.name.replace("_", "-")
        text = _help(about.help, kind, field.default).replace("%", "%%")
        common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text}
        if kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
        elif about.choices:
            group.add_argument(flag, choices=tuple(about.choices), **common)
        else:
            group.add_argument(flag, type=kind, metavar={int: "N", float: "X"}.get(kind, "TEXT"), **common)


def given(arguments: argparse.Namespace, options: type[Any]) -> dict[str, Any]:
    """The options that the command line names."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(options) if hasattr(arguments, f.name)}


def _help(sentence: str, kind: type, default: Any) -> str:
    """The field's help and its default, as a reader would say it."""
    if kind is bool:
        default = "on" if default else "off"
    shown = "empty" if default == "" else f"{default}"
    return f"{sentence} (default: {shown})".strip()

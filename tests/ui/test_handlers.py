"""Handlers with the signature that Gradio reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import gradio as gr

from mmdemo.ui.handlers import named


def test_a_handler_gets_named_parameters_and_the_request() -> None:
    def handler(*values: Any) -> Iterator[Any]:
        """What it does."""
        yield values

    made = named(handler, ["files", "style"])
    parameters = inspect.signature(made).parameters
    assert list(parameters) == ["files", "style", "request"] and parameters["request"].annotation is gr.Request
    assert inspect.isgeneratorfunction(made) and made.__doc__ == "What it does." and made.__name__ == "handler"
    assert list(made(["a.jpg"], "tags", "R")) == [(["a.jpg"], "tags", "R")]

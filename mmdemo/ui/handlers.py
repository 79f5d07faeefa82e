"""Handlers as Gradio wants them: it learns a function's parameters, and the names in its API, from the signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gradio as gr

PRESSED = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-mm-action]");
  if (!button || (button.dataset.mmSure && !confirm(button.dataset.mmSure))) return;
  trigger("select", { value: button.dataset.mmKey, index: 0, action: button.dataset.mmAction });
});
"""
"""A press on a row's button is a `select` event of its component, with the row's key and what to do."""


def named(handler: Callable[..., Any], names: Iterable[str]) -> Callable[..., Any]:
    """The generator function `handler(*values, request)` with a parameter for each of `names`, then the request.

    Gradio counts the inputs, calls the API's parameters by these names, and passes the request by its annotation.
    """

    def stream(*values: Any) -> Any:
        yield from handler(*values)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    request = inspect.Parameter("request", kind, annotation=gr.Request)
    stream.__signature__ = inspect.Signature([*(inspect.Parameter(name, kind) for name in names), request])  # type: ignore[attr-defined]
    stream.__annotations__ = {"request": gr.Request}
    stream.__doc__, stream.__name__ = handler.__doc__, handler.__name__
    return stream


def private(**more: Any) -> dict[str, Any]:
    """How the page's own events run: hidden from the API, any number at once; the studio makes them take turns."""
    return {
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "multiple",
        "concurrency_limit": None,
    } | more


def quiet(**more: Any) -> dict[str, Any]:
    """How the page's small look-ups run: at once, past the queue."""
    return {"queue": False, "show_progress": "hidden", "api_visibility": "private"} | more


def listen(event: Any, handler: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Call the generator `handler(*values, request)` when `event` happens; what it yields goes to `outputs`."""
    names = [f"value_{place}" for place in range(len(inputs))]
    return event(named(handler, names), list(inputs), list(outputs), **private())

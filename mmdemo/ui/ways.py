"""The list of quantizations: what the chosen model offers on the chosen device, and what is known to be worse there."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.catalog import ModelSpec
from mmdemo.errors import StudioError
from mmdemo.runtime import device, quantization
from mmdemo.runtime.quantization import Way
from mmdemo.settings import Settings
from mmdemo.ui.bench import Context
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import quiet
from mmdemo.ui.i18n import language_of, say
from mmdemo.ui.inputs import Look


def follow(form: Form, context: Context) -> Look:
    """Keep the list in step with the model and the device of a form; the look that fills it when the page opens."""
    model, where, chosen = (form.components[name] for name in ("model", "device", "quantization"))

    def shown(model: str, where: str, chosen: str, request: gr.Request) -> Any:
        return offered(context, model, where, chosen, language_of(request))

    inputs = [model, where, chosen]
    for one in (model, where):
        one.change(shown, inputs, chosen, **quiet())
    return Look(shown, inputs, chosen)


def offered(context: Context, model: str, where: str, chosen: str, language: str) -> Any:
    """An update of the list: what was chosen stays, where the model offers it. A model or device that is not here any
    more leaves the list as it is: whoever asks it is told."""
    try:
        there = ways(catalog.get(model), where, context.studio.settings)
    except StudioError:
        return gr.skip()
    names = [way.name for way in there]
    return gr.update(
        choices=[(words(way, language), way.name) for way in there], value=chosen if chosen in names else names[0]
    )


def ways(spec: ModelSpec, where: str, settings: Settings) -> tuple[Way, ...]:
    """What a row offers on a device; `auto` is that of the settings.

    Raises:
        Unsupported: the device is not here.
    """
    return quantization.ways(spec, device.choose(where if where != "auto" else settings.device))


def words(way: Way, language: str) -> str:
    """A line of the list: the bits, and what is known to be worse than with the first line."""
    remarks = [say(key, language) for key, so in (("way_slower", way.slower), ("way_rougher", way.rougher)) if so]
    return " · ".join((say(f"choice_{way.name}", language), *remarks))

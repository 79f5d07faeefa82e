"""The tasks as named endpoints: their parameters are the fields of the options dataclasses, with the same defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import tasks
from mmdemo.runtime.sources.base import Progress
from mmdemo.ui.bench import Context, sentence
from mmdemo.ui.files import plain
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import named
from mmdemo.ui.running import follow


def endpoints(context: Context) -> None:
    """One endpoint a task: files in, a list of results out, again and again as they grow."""
    for task, entry in tasks.TASKS.items():
        with gr.Row(visible=False):
            form = Form.of(task)
            for component in form.inputs:
                component.render()
            given = gr.File(file_count="multiple", type="filepath", label="Files")
            results = gr.JSON(label="Results")
            button = gr.Button()
        button.click(
            named(_handler(context, task, form), ["files", *form.components]),
            [given, *form.inputs],
            results,
            api_name=task,
            api_description=entry.about,
            concurrency_limit=None,
            trigger_mode="multiple",
        )


def _handler(context: Context, task: str, form: Form) -> Any:
    def run_task(files: list[str] | None, *values: Any) -> Iterator[list[dict[str, Any]]]:
        """Results of all files so far; the last list is complete."""
        run = context.running.begin(None, task)
        found: dict[str, dict[str, Any]] = {}
        paths = [Path(file) for file in files or []]
        try:
            options = form.read(values[:-1])  # the last value is the request
            for events in follow(lambda: context.studio.run(task, paths, options, run.stop, run.who), run):
                found |= {event.file: plain(event) for event in events if not isinstance(event, Progress)}
                yield list(found.values())
        except Exception as error:  # the server stays up whatever a file or a model does
            raise gr.Error(sentence(error, "en", f"the endpoint {task}"), print_exception=False) from error

    return run_task

"""Models whose own Python code may run, on the tab of models: what that means, the switch, and which are allowed."""

from __future__ import annotations

from html import escape

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.ui import parts
from mmdemo.ui.bench import Context, Updates
from mmdemo.ui.handlers import private
from mmdemo.ui.here import is_here
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.sentences import translate


class Trusting:
    """Closed until somebody needs it; only whoever sits at this machine may switch."""

    def __init__(self, context: Context) -> None:
        """Place it here."""
        self.studio = context.studio
        with gr.Accordion(label("trust_title"), open=False, elem_id="mm-trust"):
            gr.Markdown(label("trust_why"), elem_classes=["mm-muted"])
            with gr.Row(elem_classes=["mm-hub"]):
                self.key = gr.Textbox(
                    label=label("trust_key"), placeholder="hub:owner/name", lines=1, max_lines=1,
                    elem_id="mm-trust-key", elem_classes=["mm-hub-words"],
                )  # fmt: skip
                self.allow = gr.Button(label("trust_allow"), variant="stop", min_width=96, elem_id="mm-trust-allow")
                self.forbid = gr.Button(label("trust_forbid"), min_width=96, elem_id="mm-trust-forbid")
            self.list = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-trust-list")
        self.listeners = [
            self.allow.click(self.switch_on, [self.key], [self.list], **private()),
            self.forbid.click(self.switch_off, [self.key], [self.list], **private()),
        ]

    def shown(self, request: gr.Request) -> str:
        """Which models are allowed, as things stand."""
        language = language_of(request)
        try:
            keys = self.studio.trusted()
        except StudioError as error:
            return parts.error(translate(str(error), language))
        if not keys:
            return parts.note(say("trust_none", language))
        rows = "".join(f"<li><code>{escape(key)}</code></li>" for key in keys)
        return f"<p>{say('trust_list', language)}</p><ul>{rows}</ul>"

    def switch_on(self, key: str, request: gr.Request) -> Updates:
        """Let the code of a model run."""
        return self._switch(key, True, request)

    def switch_off(self, key: str, request: gr.Request) -> Updates:
        """Let it run no longer."""
        return self._switch(key, False, request)

    def _switch(self, key: str, on: bool, request: gr.Request) -> Updates:
        language = language_of(request)
        if not is_here(request):
            return {self.list: parts.error(say("trust_elsewhere", language))}
        try:
            self.studio.trust(key.strip(), on)
        except StudioError as error:
            return {self.list: parts.error(translate(str(error), language))}
        return {self.list: self.shown(request)}

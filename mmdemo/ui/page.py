"""The whole page: the header, the tabs, and the same tasks as a named API."""

from __future__ import annotations

import contextlib
from typing import Any

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.ui import panels
from mmdemo.ui.api import endpoints
from mmdemo.ui.bench import Context
from mmdemo.ui.drawer import Drawer
from mmdemo.ui.early import EarlyScript
from mmdemo.ui.handlers import quiet
from mmdemo.ui.i18n import label, language_of, say, translations
from mmdemo.ui.scratch import scratch
from mmdemo.ui.tabs import TABS, Tab
from mmdemo.ui.tabs.compose import Compose
from mmdemo.ui.tabs.train import Train
from mmdemo.ui.taking import key
from mmdemo.ui.theme import CSS, SCRIPT, theme

REFRESH = 5.0
"""Seconds between two looks at the memory and the loaded models."""


def build(studio: Studio) -> gr.Blocks:
    """The page over a studio; nothing is loaded until someone asks for it."""
    context = Context(studio)
    scratch.begin(studio.settings.page_folder)
    with gr.Blocks(title="mmdemo", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as page:
        drawer = Drawer(context)
        header, guide = _header(drawer.button)
        tabs: list[Tab] = []
        with gr.Tabs(elem_classes=["mm-tabs"]) as places:
            for kind in TABS:
                with gr.Tab(label(f"tab_{kind.name}"), id=kind.name) as place:
                    tab = kind(context)
                tabs.append(tab)
                for look in tab.looks:
                    page.load(look.handler, look.inputs, look.outputs, **quiet())
                    if look.again:
                        place.select(look.handler, look.inputs, look.outputs, **quiet())
                if isinstance(tab, Compose):
                    tab.opened(place)
        endpoints(context)

        chosen = [component for tab in tabs if tab.form for component in tab.form.models]

        def facts(values: dict[Any, str], request: gr.Request) -> str:
            return panels.header(studio.status(), [values[one] for one in chosen], language_of(request))

        def offer(values: dict[Any, str]) -> dict[Any, Any]:
            rows = studio.rows()
            return {one: update for tab in tabs if tab.form for one, update in tab.form.offers(rows, values).items()}

        def explain(request: gr.Request) -> str:
            return panels.guide(language_of(request))

        page.load(facts, set(chosen), header, **quiet())
        page.load(drawer.look, drawer.seen, drawer.outputs, **quiet())
        page.load(explain, None, guide, **quiet())
        page.load(offer, set(chosen), chosen, **quiet())
        clock = gr.Timer(REFRESH)
        clock.tick(facts, set(chosen), header, **quiet())
        clock.tick(drawer.look, drawer.seen, drawer.outputs, **quiet())  # a job may come from another device
        drawer.done.change(offer, set(chosen), chosen, **quiet())
        for component in chosen:
            component.change(facts, set(chosen), header, **quiet())
        for tab in tabs:
            for listener in tab.listeners:
                listener.then(facts, set(chosen), header, **quiet())
                if not tab.form:  # what one can choose from, and what runs, may have changed
                    listener.then(offer, set(chosen), chosen, **quiet())
                    listener.then(drawer.look, drawer.seen, drawer.outputs, **quiet())

        training = next(tab for tab in tabs if isinstance(tab, Train))
        composing = next(tab for tab in tabs if isinstance(tab, Compose))
        drawer.list.select(training.show, None, [places, *training.outputs], **quiet())

        def use(run: str) -> dict[Any, Any]:
            """Choose a tuned model where it can be used, and go there."""
            updates: dict[Any, Any] = {}
            with contextlib.suppress(StudioError):  # it was removed meanwhile: there is nothing to choose
                tuned = key(studio.jobs.get(run))
                for tab in tabs:
                    if tab.form and (found := tab.form.choosing(studio.rows(), tuned)):
                        updates = {places: gr.Tabs(selected=tab.name), **found, **updates}
                if not updates and (found := composing.choosing(tuned)):
                    updates = {places: gr.Tabs(selected=composing.name), **found}
            return updates

        for view in (training.view, composing.view):
            view.use.click(use, view.runs, [places, *chosen, *composing.chooses], **quiet())

        def leave(request: gr.Request) -> None:
            context.running.leave(request.session_hash)

        page.unload(leave)
    page.queue(default_concurrency_limit=None, api_open=False)
    return page


def _header(jobs: gr.Button) -> tuple[gr.HTML, gr.HTML]:
    """Name, facts and switches; where the facts and the help are written.

    Args:
        jobs: opens the drawer of jobs; placed here.
    """
    with gr.Row(elem_classes=["mm-header"]):
        gr.HTML(f'<h1 class="mm-title-line">{say("product")}</h1>', elem_classes=["mm-name", "mm-flat"])
        facts = gr.HTML("", elem_classes=["mm-header-facts", "mm-flat"], elem_id="mm-header")
        with gr.Row(elem_classes=["mm-switches"]):
            jobs.render()
            language = gr.Button(label("language_switch"), size="sm", min_width=72, elem_id="mm-language")
            look = gr.Button(label("theme_switch"), size="sm", min_width=96, elem_id="mm-theme")
            ask = gr.Button(label("help"), size="sm", min_width=48, elem_id="mm-help")
    guide = gr.HTML("", elem_classes=["mm-guide", "mm-flat"], elem_id="mm-guide")
    for button, script in ((language, "mmdemoLanguage"), (look, "mmdemoTheme"), (ask, "mmdemoHelp")):
        button.click(None, js=f"() => window.{script}()", api_visibility="private")
    return facts, guide


def launch_options(settings: Settings) -> dict[str, Any]:
    """What `Blocks.launch` needs so that the page looks right and nothing leaves the machine."""
    from starlette.middleware import Middleware

    return {
        "theme": theme(),
        "css_paths": CSS,
        "head": f"<script>{SCRIPT.read_text('utf-8')}</script>",
        "i18n": translations(),
        "app_kwargs": {"middleware": [Middleware(EarlyScript)]},
        "max_file_size": settings.max_megabytes * 1_000_000,
        "footer_links": [],
        "run_history": False,
        "share": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "enable_monitoring": False,
        "quiet": True,
        "show_error": False,
    }

"""The tab that composes: parts from lists, the chain as a diagram, its training; beside it search by text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from mmdemo import catalog, chains
from mmdemo.catalog import ModelSpec
from mmdemo.chains import Compose as Choices
from mmdemo.runtime.sources.base import Progress
from mmdemo.ui import chain_cards, parts
from mmdemo.ui.align import Align
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.chain_training import SVM, ChainTraining
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import COMPOSE, label, language_of, option_help, option_label, say
from mmdemo.ui.inputs import advanced, intro

ROLES: dict[str, chains.Role] = {"vision": "vision", "audio": "audio", "text": "text", "language": "language"}
"""Field of the choices → the role whose parts it is chosen from."""

ABOUT = {"siamese": "chain_towers", "svm": "chain_classes"}
"""What is said of an alignment without a language model."""


class Compose:
    """The tab: what it shows and what its controls do."""

    name = "compose"
    form = None

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        self.options = Form.of(COMPOSE, {field: _picker(field, role) for field, role in ROLES.items()})
        self.training = ChainTraining(context)
        with gr.Tabs(elem_classes=["mm-subtabs"]) as self.places:
            build = gr.Tab(label("compose_build"), id="compose_build")
            with build, gr.Row(elem_classes=["mm-panel", "mm-panel-compose"]):
                with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                    with gr.Column(elem_classes=["mm-picks"]):
                        self.options.place(advanced=False)
                    gr.Markdown(label("compose_folders"), elem_classes=["mm-samples-title"])
                    self.title = gr.Textbox(
                        label=label("chain_name"), info=label("chain_name_why"), max_lines=1, elem_id="mm-compose-name",
                        elem_classes=["mm-option"],
                    )  # fmt: skip
                    self.go = gr.Button(
                        label("compose_go"), variant="primary", elem_classes=["mm-go"], elem_id="mm-compose-go"
                    )
                    advanced(self.options)
                    gr.Markdown(label("chain_train_title"), elem_classes=["mm-samples-title"])
                    self.training.place_choices()
                with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                    self.drawing = Bench(context, "chain", lasting=False)
                    self.diagram = gr.HTML("", elem_classes=["mm-result", "mm-flat"], elem_id="mm-compose-diagram")
                    self.bench = Bench(context, "compose", lasting=False)
                    self.training.place_view()
            with gr.Tab(label("compose_align"), id="compose_align"):
                self.align = Align(context)
        self.view = self.training.view
        self.looks = [intro("intro_compose", self.diagram), *self.training.looks, *self.align.looks]
        self.listeners = self._wire()

    def _wire(self) -> list[Any]:
        drawn = [self.diagram, *self.drawing.outputs]
        for component in self.options.inputs:
            listen(component.change, self.draw, self.options.inputs, drawn)
        made = [self.training.model, *self.bench.outputs]
        fields = self.options.components
        listen(fields["projector"].change, self.fit, [fields["projector"]], [fields["fusion"], fields["language"]])
        return [
            listen(self.go.click, self.compose, [self.title, *self.options.inputs], made),
            *self.training.wired(),
            *self.align.listeners,
        ]

    def opened(self, place: gr.Tab) -> None:
        """Draw the chain when the tab is opened: only then the shapes are looked for, which takes torch."""
        listen(place.select, self.draw, self.options.inputs, [self.diagram, *self.drawing.outputs])

    @property
    def chooses(self) -> list[Any]:
        """What `choosing` changes."""
        return [self.places, self.align.model]

    def choosing(self, key: str) -> Updates:
        """Choose a model of two towers for the search by text; nothing for another model.

        Raises:
            StudioError: there is no such model.
        """
        if "align" not in catalog.get(key).tasks:
            return {}
        choices = self.align.models()
        return {self.places: gr.Tabs(selected="compose_align"), self.align.model: gr.update(choices=choices, value=key)}

    def draw(self, *values: Any) -> Iterator[Updates]:
        """The chain of what is chosen, or why there is none."""
        *chosen, request = values
        language = language_of(request)
        found: list[Any] = []

        def make(run: Any) -> Iterator[Any]:
            yield Progress("Looking for shapes")
            yield from self.context.studio.chain(self.options.read(chosen), run.stop)

        def show(last: bool) -> State:
            shown = {self.diagram: chain_cards.html(found[-1], language)} if found else {}
            fits = bool(found) and not found[-1].problems
            return State(shown, words=say(self._drawn(chosen) if fits else "chain_not", language))

        yield from self.drawing.serve(request, make, found.append, show)

    def fit(self, projector: str, request: gr.Request) -> Iterator[Updates]:
        """Turn the choices off that this alignment does not read, and say so; on again with another."""
        alone, language = projector not in chains.PROJECTORS, language_of(request)
        usual = {"fusion": option_help(COMPOSE, "fusion", language), "language": None}
        yield {
            self.options.components[field]: gr.update(
                interactive=not alone, info=say("chain_unused", language) if alone else why
            )
            for field, why in usual.items()
        }

    def _drawn(self, chosen: Sequence[Any]) -> str:
        """What is said beside the diagram."""
        return ABOUT.get(self.options.read(chosen).projector, "chain_shapes")

    def compose(self, title: str, *values: Any) -> Iterator[Updates]:
        """Put the parts together and write the new model; it is chosen for training."""
        *chosen, request = values
        language = language_of(request)
        made: list[ModelSpec | str] = []

        def make(run: Any) -> Iterator[Any]:
            options = self.options.read(chosen)
            if options.projector == "svm":
                return self._svm(options, run)
            return self.context.studio.compose(options, run.stop, (title or "").strip())

        def show(last: bool) -> State:
            if not made:
                return State({}, words=say("chain_not", language))
            if isinstance(made[0], str):
                update = self.training.offered(made[0])
                return State({self.training.model: update} if last else {}, words=say("chain_svm", language))
            there = [(spec.title, spec.key) for spec in self._chains(made[0])]
            sentence = "chain_made_towers" if "align" in made[0].tasks else "chain_made"
            words = say(sentence, language, name=made[0].title, size=parts.size(made[0].bytes))
            update = gr.update(choices=there, value=made[0].key, visible=True)
            return State({self.training.model: update} if last else {}, words=words)

        yield from self.bench.serve(request, make, made.append, show)

    def _svm(self, options: Choices, run: Any) -> Iterator[Any]:
        """The choice of an SVM for training, unless the diagram says why there is none: nothing is written yet."""
        for event in self.context.studio.chain(options, run.stop):
            if isinstance(event, Progress):
                yield event
            elif not event.problems:
                yield f"{SVM}{options.vision or options.audio}"

    def _chains(self, new: ModelSpec) -> Sequence[ModelSpec]:
        from mmdemo.ui.chain_training import chains as there

        return [new, *(spec for spec in there(self.context) if spec.key != new.key)]


def _picker(field: str, role: chains.Role) -> gr.Dropdown:
    """The list of parts for a role; the path of a folder may be written too."""
    default = getattr(Choices(), field)
    choices: list[tuple[Any, str]] = [(_named(choice), choice.value) for choice in chains.parts(role)]
    if role != "language":
        choices.insert(0, (label("part_none"), ""))
    return gr.Dropdown(
        choices, value=default, label=option_label(COMPOSE, field, "label"), allow_custom_value=True, min_width=200,
        render=False, elem_id=f"mm-compose-{field}", elem_classes=["mm-option"],
    )  # fmt: skip


def _named(choice: chains.Choice) -> Any:
    """What is read of a part: a row's title; a fresh part in the reader's language."""
    return label(f"part_{choice.value}") if choice.fresh else choice.title

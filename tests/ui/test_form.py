"""The form is the options dataclass, field by field."""

from __future__ import annotations

import dataclasses
from typing import get_args

import gradio as gr
import pytest

from mmdemo import catalog, tasks
from mmdemo.catalog import Task
from mmdemo.errors import InputError, UnknownName
from mmdemo.options import meta
from mmdemo.runtime.standing import Row
from mmdemo.ui.form import Form
from mmdemo.ui.i18n import COMPOSE, TRAIN, label


@pytest.mark.parametrize("task", tasks.TASKS)
def test_every_field_has_one_control_in_order_with_its_default(task: str) -> None:
    form = Form.of(task)
    options = tasks.get(task).options
    assert list(form.components) == [field.name for field in dataclasses.fields(options)]
    assert form.read(form.defaults()) == options()
    for field in dataclasses.fields(options):
        if not meta(field).place:
            assert form.components[field.name].value == field.default, field.name


def test_a_field_gets_the_control_of_its_kind() -> None:
    form = Form.of("transcribe").components
    assert isinstance(form["model"], gr.Dropdown)
    assert isinstance(form["language"], gr.Dropdown)
    assert isinstance(form["words"], gr.Checkbox)
    assert isinstance(form["beams"], gr.Slider) and (form["beams"].minimum, form["beams"].maximum) == (1, 10)
    assert isinstance(form["prompt"], gr.Textbox)


@pytest.mark.parametrize(
    ("task", "field", "does"),
    [
        ("describe", "model", "describe"),
        ("describe", "answer_model", "talk"),
        ("caption", "model", "describe"),
        ("caption", "speech_model", "transcribe"),
        ("transcribe", "model", "transcribe"),
    ],
)
def test_a_model_is_chosen_among_those_that_can_do_it(task: str, field: str, does: Task) -> None:
    offered = [value for _, value in Form.of(task).components[field].choices]
    assert offered == [row.key for row in catalog.having(does)]
    assert catalog.get(offered[0]).starter


def test_values_out_of_bounds_are_refused() -> None:
    form = Form.of("transcribe")
    values = dict(zip(form.components, form.defaults(), strict=True))
    with pytest.raises(InputError, match="at most 10"):
        form.read(list({**values, "beams": 99}.values()))
    describe = Form.of("describe")
    values = dict(zip(describe.components, describe.defaults(), strict=True))
    with pytest.raises(UnknownName, match="sentence, alt, tags, paragraph"):
        describe.read(list({**values, "style": "poem"}.values()))


def test_an_emptied_control_counts_as_its_default_and_text_is_trimmed() -> None:
    form = Form.of("transcribe")
    values = dict(zip(form.components, form.defaults(), strict=True))
    read = form.read(list({**values, "beams": None, "prompt": "  Gutenberg "}.values()))
    assert (read.beams, read.prompt) == (5, "Gutenberg")


def test_choices_are_words_that_the_browser_translates() -> None:
    read_text = Form.of("describe").components["read_text"]
    assert [(str(shown), value) for shown, value in read_text.choices] == [
        (str(label(f"choice_{choice}")), choice) for choice in ("auto", "yes", "no")
    ]
    alignment, method = Form.of(COMPOSE).components["projector"], Form.of(TRAIN).components["method"]
    named = [{value: str(shown) for shown, value in one.choices}["svm"] for one in (alignment, method)]
    assert named == [str(label("choice_projector_svm")), str(label("choice_svm"))], "what is a head there is none here"
    language = Form.of("transcribe").components["language"]
    assert str(language.choices[0][0]) == str(label("detect")) and language.choices[0][1] == ""
    assert ("中文", "zh") in language.choices


def test_the_models_of_a_form_are_known_by_what_they_must_do() -> None:
    form = Form.of("caption")
    assert form.models == [form.components["model"], form.components["speech_model"]]
    abilities = {meta(one).task for task in tasks.TASKS for one in dataclasses.fields(tasks.get(task).options)}
    assert abilities - {""} <= set(get_args(Task))


def test_what_was_fetched_from_the_hub_can_be_chosen_and_what_was_removed_stays_a_choice_where_it_is_chosen() -> None:
    form = Form.of("describe")
    model, answers = form.models
    mine = dataclasses.replace(catalog.get("smolvlm2-256m"), key="hub:a/eyes", title="eyes")
    half = dataclasses.replace(mine, key="hub:a/half")
    rows = [Row(spec, False, False, 0) for spec in catalog.ROWS] + [Row(half, False, False, 0)]
    values = {model: "starter-describer", answers: "smollm2-135m-instruct"}
    shipped = form.offers(rows, values)
    assert [key for _, key in shipped[model]["choices"]] == [row.key for row in catalog.having("describe")]
    fetched = form.offers([*rows, Row(mine, True, False, 1)], values)
    assert fetched[model]["choices"] == [*shipped[model]["choices"], ("eyes", "hub:a/eyes")]
    assert fetched[answers]["choices"] == shipped[answers]["choices"]
    removed = form.offers(rows, {**values, model: "hub:a/eyes"})
    assert removed[model]["choices"] == [*shipped[model]["choices"], ("eyes", "hub:a/eyes")]


def test_a_tuned_model_that_was_removed_is_no_choice_any_more() -> None:
    form = Form.of("describe")
    model = form.components["model"]
    update = form.offers([], {one: "folder:/gone/model" if one is model else one.value for one in form.models})[model]
    assert update["value"] == "starter-describer" and "folder:/gone/model" not in dict(update["choices"]).values()

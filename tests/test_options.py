"""One dataclass is the form, the flags and the API: loose values become it, or are refused in one sentence."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from mmdemo import tasks
from mmdemo.errors import InputError, UnknownName
from mmdemo.options import build, meta, option


@dataclass(frozen=True)
class Coffee:
    roast: str = option("dark", "Roast", "How long it was roasted.", choices=("light", "dark"))
    shots: int = option(2, "Shots", minimum=1, maximum=4, step=1)
    sugar: float = option(0.5, "Sugar", minimum=0.0, maximum=3.0)
    milk: bool = option(False, "Milk", advanced=False)
    name: str = option("", "Name")


def test_no_values_give_the_defaults() -> None:
    assert build(Coffee, {}) == Coffee("dark", 2, 0.5, False, "")


def test_values_of_the_right_kind_are_taken() -> None:
    values = {"roast": "light", "shots": 4, "sugar": 3.0, "milk": True, "name": "Ada"}
    assert build(Coffee, values) == Coffee("light", 4, 3.0, True, "Ada")


def test_a_form_may_send_a_whole_number_as_a_float_and_a_float_as_a_whole_number() -> None:
    made = build(Coffee, {"shots": 3.0, "sugar": 1})
    assert (made.shots, type(made.shots)) == (3, int)
    assert (made.sugar, type(made.sugar)) == (1.0, float)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"shots": "3"}, "Shots is '3', but must be a whole number."),
        ({"shots": 2.5}, "Shots is 2.5, but must be a whole number."),
        ({"shots": True}, "Shots is True, but must be a whole number."),
        ({"shots": None}, "Shots is None, but must be a whole number."),
        ({"shots": math.inf}, "Shots is inf, but must be a whole number."),
        ({"sugar": "much"}, "Sugar is 'much', but must be a number."),
        ({"sugar": math.nan}, "Sugar is nan, but must be a number."),
        ({"sugar": 10**400}, "Sugar is inf, but must be a number."),
        ({"milk": 1}, "Milk is 1, but must be yes or no."),
        ({"name": ["Ada"]}, "Name is ['Ada'], but must be text."),
        ({"shots": 0}, "Shots is 0, but must be at least 1."),
        ({"shots": 5}, "Shots is 5, but must be at most 4."),
        ({"sugar": -0.1}, "Sugar is -0.1, but must be at least 0."),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        build(Coffee, values)
    assert str(caught.value) == sentence


def test_an_unknown_name_lists_the_names_there_are() -> None:
    with pytest.raises(UnknownName) as caught:
        build(Coffee, {"sugars": 1.0})
    assert str(caught.value) == "There is no option 'sugars'; choose from: roast, shots, sugar, milk, name."


def test_an_unknown_choice_lists_the_choices() -> None:
    with pytest.raises(UnknownName) as caught:
        build(Coffee, {"roast": "green"})
    assert str(caught.value) == "There is no roast 'green'; choose from: light, dark."


def test_options_cannot_change_while_they_are_used() -> None:
    with pytest.raises(FrozenInstanceError):
        build(Coffee, {}).shots = 3  # type: ignore[misc]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_every_option_of_every_task_has_a_label_and_a_default_that_passes_its_own_check(task: str) -> None:
    cls = tasks.get(task).options
    made = build(cls, {field.name: field.default for field in fields(cls)})
    assert made == cls()
    for field in fields(cls):
        assert meta(field).label
        assert meta(field).help.endswith("."), f"{field.name} needs a sentence of help"

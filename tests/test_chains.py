"""What can be chosen of a chain, without torch."""

from __future__ import annotations

import pytest

from mmdemo import catalog, chains
from mmdemo.chains import Compose
from mmdemo.errors import InputError, UnknownName
from mmdemo.options import build


def test_the_words_are_those_of_the_model() -> None:
    from mmdemo.fusion import align, fuse
    from mmdemo.training.config import METHODS

    assert set(chains.FUSIONS) == set(fuse.FUSIONS) and set(chains.PROJECTORS) == set(align.PROJECTORS)
    assert set(chains.TUNINGS) <= set(METHODS)


def test_every_default_is_among_what_may_be_chosen_and_starters_come_first() -> None:
    for role, name in Compose().chosen.items():
        assert name in [one.value for one in chains.parts(role)]
    heard = [one.value for one in chains.parts("audio")]
    assert heard[0] in catalog.MODELS and catalog.MODELS[heard[0]].starter and heard[-1] == chains.FRESH
    assert [one.value for one in chains.parts("language") if one.fresh] == list(chains.DECODERS)


@pytest.mark.parametrize(
    ("given", "method"),
    [({}, "lora"), ({"language": "lstm"}, "full"), ({"tuning": "head"}, "head")],
    ids=["it writes already", "it is fresh", "as it was said"],
)
def test_what_is_tuned_follows_from_the_language_model_unless_it_is_said(given: dict[str, str], method: str) -> None:
    assert build(Compose, given).method == method


def test_a_chain_is_named_after_its_parts() -> None:
    assert chains.name_of(Compose()) == "efficientnet-lite2-concat-smollm2-135m-instruct"
    assert chains.name_of(Compose(vision="/a/eye/", audio="patches", language="lstm")) == "eye-patches-concat-lstm"


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(UnknownName, match="gated-cross-attention"):
        build(Compose, {"fusion": "magic"})
    with pytest.raises(InputError, match="at least 1"):
        build(Compose, {"frames": 0})

"""The shipped describer as a user gets it, on pictures it has not learned from."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from mmdemo.results import Description
from mmdemo.settings import Settings
from mmdemo.starter.captions import read, scores
from mmdemo.studio import Studio


@pytest.mark.weights
@pytest.mark.data
def test_it_says_of_new_pictures_much_of_what_people_say(data: Path) -> None:
    rows = read(data / "flickr8k", "val")[:300]
    studio = Studio()
    said = {
        event.file: event.text
        for event in studio.run("describe", [row.file for row in rows], {"read_text": "no", "labels": 0})
        if isinstance(event, Description) and event.done
    }
    studio.close()
    sentences = [said[str(row.file)] for row in rows]
    assert scores(sentences, rows)["cider"] >= 0.52
    assert len(set(sentences)) > 240, "not one sentence for everything"
    for sentence in sentences:
        words = sentence.rstrip(".").split()
        pairs = list(itertools.pairwise(words))
        assert len(set(pairs)) == len(pairs), sentence


PEOPLE = {
    "man", "men", "woman", "women", "boy", "boys", "girl", "girls", "child", "children", "person", "people", "kid",
    "player", "baby", "lady", "guy",
}  # fmt: skip
"""Words for people."""


@pytest.mark.weights
@pytest.mark.data
def test_of_pictures_of_other_kinds_it_says_less_and_names_what_the_encoder_knows(data: Path) -> None:
    """Drawn and photographed things: none of these shows a person, and none is like its training pictures."""
    rows = [json.loads(line) for line in (data / "tuxpaint_stamps/captions.jsonl").read_text("utf-8").splitlines()]
    labels = json.loads((Path(Settings.load().home) / "models/efficientnet-lite2/labels.json").read_text("utf-8"))
    known = {name.strip().lower() for synonyms in labels for name in synonyms.split(",")}
    things: dict[Path, str] = {}
    for row in rows:
        thing = re.sub(r"^(a|an|the) ", "", row["captions"][0].lower().strip(" .!"))
        if thing in known:
            things[data / "tuxpaint_stamps" / row["file"]] = thing
    assert len(things) > 50
    studio = Studio()
    said = {
        Path(event.file): event
        for event in studio.run("describe", list(things), {"read_text": "no"})
        if isinstance(event, Description) and event.done
    }
    studio.close()
    named = [thing in said[file].text.lower() for file, thing in things.items()]
    assert sum(named) / len(named) >= 0.45  # its kind counts as well, and is not counted here
    persons = [bool(PEOPLE & set(re.findall(r"[a-z]+", one.text.lower()))) for one in said.values()]
    assert sum(persons) / len(persons) <= 0.06
    assert len({one.text for one in said.values()}) >= 0.6 * len(said)
    noted = [one for one in said.values() if any("unlike those" in note for note in one.provenance.notes)]
    assert len(noted) >= 0.8 * len(said)

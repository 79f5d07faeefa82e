"""The shipped describer as a user gets it, on pictures it has not learned from."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mmdemo.results import Description
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

"""The words of the labels come from WordNet's own format."""

from __future__ import annotations

from pathlib import Path

from mmdemo.starter.names import ancestors, synsets, words

LICENCE = "  1 This software and database is being provided to you, the LICENSEE\n"
LINES = (
    "00001740 03 n 01 entity 0 000 | that which exists\n"
    "00015388 03 n 02 animal 0 animate_being 0 001 @ 00001740 n 0000 | a living organism\n"
    "01503061 05 n 01 bird 0 002 @ 00015388 n 0000 ~ 01582220 n 0000 | warm-blooded egg-laying vertebrates\n"
    "01582220 05 n 02 magpie 0 pica_pica 1 001 @ 01503061 n 0000 | long-tailed bird\n"
)


def test_a_class_is_called_by_its_own_words_and_those_of_its_kinds(tmp_path: Path) -> None:
    file = tmp_path / "data.noun"
    file.write_text(LICENCE + LINES, encoding="latin-1")
    known = synsets(file)
    assert list(ancestors("01582220", known)) == ["01582220", "01503061", "00015388", "00001740"]
    made = words(known, [("01582220", "magpie")])
    assert made["phrases"] == ["a magpie"]
    assert made["words"] == [["animal", "animate being", "bird", "magpie", "pica pica"]], "entity says nothing"
    assert made["kinds"] == [{"phrase": "a bird", "classes": [0]}, {"phrase": "an animal", "classes": [0]}]

"""The benchmark table and what is written of it; the measuring itself is `make bench`."""

from __future__ import annotations

import importlib
import itertools
import re
from pathlib import Path

import av
import pytest

from benchmarks.__main__ import DOCUMENT, MODULES, written
from benchmarks.table import HEAD, Row, at_least, at_most, markdown, text
from benchmarks.video_memory import CLIP, repeated

ROWS = [at_least("fast", "2 s", "9 s", 4.5, 5), at_most("small", "1 GB", "1 GB", 1.0, 1.1)]


def test_a_goal_is_met_or_not() -> None:
    assert [row.met for row in ROWS] == [False, True]
    assert at_least("x", "", "", 5.0, 5).met
    assert not at_most("x", "", "", 2.51, 2.5).met


def test_the_text_table_has_aligned_columns_and_shouts_what_is_not_met() -> None:
    head, rule, fast, small = text(ROWS).splitlines()
    assert len(rule) == max(map(len, (head, fast, small)))
    assert head.index("goal") == fast.index("at least 5") == small.index("at most 1.1")
    assert fast.endswith("NO")
    assert small.endswith("yes")


def test_the_markdown_table_is_one() -> None:
    lines = markdown([*ROWS, Row("absolute", "60 /s", "–", None, "at least 20 /s", True)]).splitlines()
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}
    assert lines[-1] == "| absolute | 60 /s | – | – | at least 20 /s | yes |"


def test_a_run_replaces_its_own_block_and_nothing_else() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    once = written(document, "page", ROWS, "load before the run 0.1")
    twice = written(once, "page", ROWS[:1], "")
    assert "load before the run 0.1" in once
    assert "load before the run 0.1" not in twice
    begin, end = "<!-- page: begin -->", "<!-- page: end -->"
    assert once.partition(begin)[0] == twice.partition(begin)[0] == document.partition(begin)[0]
    assert once.partition(end)[2] == twice.partition(end)[2] == document.partition(end)[2]
    block = twice.partition(begin)[2].partition(end)[0]
    assert block.count("| fast |") == 1
    assert re.search(r"^- date: \d{4}-\d\d-\d\d$", block, re.MULTILINE)
    assert "- command: `python -m benchmarks page --write`" in block


def test_a_document_without_the_block_is_refused() -> None:
    with pytest.raises(ValueError, match="begin"):
        written("# Benchmarks\n", "page", ROWS, "")


@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_can_be_run_and_is_described(name: str) -> None:
    assert callable(importlib.import_module(MODULES[name]).run)
    document = DOCUMENT.read_text(encoding="utf-8")
    assert f"| `{name}` |" in document
    assert f"<!-- {name}: begin -->" in document


def test_a_repeated_clip_is_longer_and_still_plays_in_order(tmp_path: Path) -> None:
    target = tmp_path / "long.mp4"
    assert repeated(CLIP, target, 30) == 4
    with av.open(str(target)) as container:
        assert container.duration / 1e6 == pytest.approx(4 * 9.2, abs=0.3)
        assert {stream.type for stream in container.streams} == {"video", "audio"}
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 4 * 230
    assert all(a < b for a, b in itertools.pairwise(times))

"""Reading what a program says, as it grows and as it breaks off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs.events import History, read


def line(kind: str, **values: Any) -> str:
    return json.dumps({"time": values.pop("time", 0.0), "kind": kind, **values}) + "\n"


def test_a_half_written_last_line_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read(path) == ([], 0)
    whole, half = line("note", message="é"), line("note", message="猫")
    data = (whole + half).encode()
    for cut in range(len(whole.encode()), len(data)):
        path.write_bytes(data[:cut])
        events, offset = read(path)
        assert [event["message"] for event in events] == ["é"]
        path.write_bytes(data)
        assert [event["message"] for event in read(path, offset)[0]] == ["猫"]


@pytest.mark.parametrize("bad", [b'{"time": 1, "ki', b"\xff\xfe", b"[]", b"3", b"{}", b'{"kind": 4}'])
def test_lines_that_are_no_events_are_passed_over(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(bad + b"\n" + line("done").encode())
    assert [event["kind"] for event in read(path)[0]] == ["done"]


def test_odd_values_break_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line("progress", step="x", steps=None) + line("metric", values=3) + line("sample") + line("odd"))
    said = History(path)
    assert said.refresh() and said.count == (0, 0) and said.left is None and said.metrics == {}


def test_a_history_follows_the_file_and_knows_how_long_it_still_takes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    said = History(path)
    assert not said.refresh()
    path.write_text("".join(line("progress", time=100.0 + step, step=step, steps=10) for step in range(1, 5)))
    assert said.refresh() and said.count == (4, 10) and said.left == pytest.approx(6.0)
    assert not said.refresh()
    with path.open("a") as file:
        file.write(line("progress", time=500.0, step=5, steps=10))  # after a pause: one gap is not the speed
    said.refresh()
    assert said.left == pytest.approx(5.0)


def test_steps_that_a_resume_does_again_replace_the_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    before = [line("progress", step=step, steps=6, loss=1.0) for step in range(1, 6)]
    before.append(line("metric", step=5, values={"wer": 9.0}))
    after = [line("progress", step=step, steps=6, loss=0.5) for step in (3, 4)]
    path.write_text("".join(before + after))
    said = History(path)
    said.refresh()
    assert {step: event["loss"] for step, event in said.progress.items()} == {1: 1.0, 2: 1.0, 3: 0.5, 4: 0.5}
    assert said.metrics == {} and said.count == (4, 6)


def test_a_new_run_in_the_same_place_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line("sample", origin="a", text="one") + line("sample", origin="a", text="two"))
    said = History(path)
    said.refresh()
    assert [event["text"] for event in said.samples.values()] == ["two"]
    path.write_text(line("note", message="n"))
    said.refresh()
    assert said.samples == {} and said.words == "n"

"""Requests that run: stopped at once, replaced by the next, alive while nothing comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mmdemo.ui.running import Run, Running, follow


def test_what_comes_is_passed_on_in_order() -> None:
    got = [item for batch in follow(lambda: iter(range(50)), Run(), beat=0.05) for item in batch]
    assert got == list(range(50))


def test_while_nothing_comes_it_beats() -> None:
    go = threading.Event()

    def slow() -> Iterator[int]:
        go.wait(5)
        yield 1

    stream = follow(slow, Run(), beat=0.02)
    assert [next(stream), next(stream)] == [(), ()]
    go.set()
    assert [item for batch in stream for item in batch] == [1]


def test_an_error_comes_after_what_was_done() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        for batch in follow(breaks, Run(), beat=0.05):
            seen += batch
    assert seen == [1]


def test_a_stopped_request_ends_without_waiting_for_work_that_cannot_stop() -> None:
    release = threading.Event()

    def stuck() -> Iterator[int]:
        release.wait(10)
        yield 1

    running = Running()
    run = running.begin("someone", "describe")
    stream = follow(stuck, run, beat=0.02)
    next(stream)
    began = time.monotonic()
    running.stop("someone", "describe")
    assert list(stream) == []
    assert time.monotonic() - began < 1
    assert run.halted and run.stop.is_set() and not run.replaced
    release.set()


def test_closing_the_stream_stops_the_work() -> None:
    run = Run()
    stream = follow(lambda: iter([1, 2, 3]), run)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert run.stop.is_set() and not run.halted


def test_the_next_request_in_a_tab_replaces_the_one_before() -> None:
    running = Running()
    first, other = running.begin("someone", "describe"), running.begin("someone", "video")
    second = running.begin("someone", "describe")
    assert first.replaced and first.stop.is_set() and not first.halted
    assert not second.stop.is_set() and not other.stop.is_set()


def test_people_do_not_stop_each_other() -> None:
    running = Running()
    mine, theirs = running.begin("me", "describe"), running.begin("they", "describe")
    running.stop("me", "describe")
    assert mine.stop.is_set() and not theirs.stop.is_set()
    running.leave("they")
    assert theirs.stop.is_set()


def test_requests_without_a_page_do_not_replace_each_other() -> None:
    running = Running()
    first = running.begin(None, "describe")
    running.begin(None, "describe")
    assert not first.stop.is_set() and not first.replaced


def test_what_came_before_the_end_is_not_lost_when_the_work_sets_the_stop_itself() -> None:
    run = Run()

    def ends() -> Iterator[int]:
        yield 1
        run.stop.set()
        yield 2

    assert [item for batch in follow(ends, run, beat=0.05) for item in batch] == [1, 2]

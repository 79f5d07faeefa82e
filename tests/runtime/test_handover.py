"""What runs on one thread is read on another: every item, one end, errors included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from mmdemo.errors import UnreadableMedia
from mmdemo.runtime.handover import threaded
from mmdemo.runtime.reporting import reported
from mmdemo.runtime.sources import Progress

SOON = 10.0


def test_what_an_action_reports_is_yielded_and_its_result_returned() -> None:
    def action(report: Callable[[Progress], None]) -> int:
        report(Progress("one"))
        report(Progress("two", 1, 2))
        return 5

    def work() -> Iterator[Progress]:
        result = yield from reported(action)
        yield Progress(f"result {result}")

    assert list(work()) == [Progress("one"), Progress("two", 1, 2), Progress("result 5")]


def test_an_error_of_a_reporting_action_is_raised_after_its_reports() -> None:
    def action(report: Callable[[Progress], None]) -> None:
        report(Progress("one"))
        raise UnreadableMedia("It broke.")

    stream = reported(action)
    assert next(stream) == Progress("one")
    with pytest.raises(UnreadableMedia):
        next(stream)


def test_a_reader_who_leaves_a_threaded_action_stops_it_and_waits() -> None:
    stop, ended = threading.Event(), threading.Event()

    def action(put: Callable[[int], None]) -> str:
        put(1)
        stop.wait(SOON)
        ended.set()
        return "ended"

    items = threaded(action, "aside", stop.set)
    assert next(items) == 1
    assert [thread.name for thread in threading.enumerate() if thread.name == "aside"] == ["aside"]
    items.close()
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "aside"]


def test_items_that_are_themselves_errors_or_nothing_pass_through() -> None:
    """Only what ends the action ends the reading, whatever the items are."""
    things = [None, ValueError("an item"), (), 0]

    def action(put: Callable[[object], None]) -> int:
        for thing in things:
            put(thing)
        return 4

    def read() -> Iterator[object]:
        assert (yield from threaded(action, "aside")) == 4

    assert list(read()) == things

"""A set of the studio's own over another: that one's rows, with the corrections that were made on the page."""

from __future__ import annotations

from collections.abc import Mapping

from mmdemo.datasets import edits
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """The rows of the other set, corrected; None if this is no such set.

    Raises:
        InputError: the other set is gone, or cannot be read.
    """
    if folder.only or not edits.is_one(folder.root, folder.settings):
        return None
    from mmdemo.datasets.reading import read as read_any

    done = edits.history(folder.root)
    source = read_any(done.source, folder.settings, columns=given)
    for sentence in source.problems:
        folder.problems.add("problems of the data under the corrections", sentence)
    rows, lost = edits.applied(source.rows, done.steps)
    if lost:
        folder.problems.add(
            "corrections of other rows",
            f"{lost:,} corrections are about rows that {source.name} has no longer, and were left out.",
        )
    return Found(source.layout, [row for _, row in rows], source.columns)

"""A row knows its content; a data set knows its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdemo.datasets.rows import Dataset, Row
from mmdemo.errors import InputError


def test_two_rows_about_one_file_have_the_same_content_and_a_copy_too(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg"))
    first.write_bytes(b"one")
    copy.write_bytes(b"one")
    other.write_bytes(b"two")
    row = Row("x, row 1", image=first, targets=("a dog",))
    assert row.content == Row("x, row 2", image=copy, targets=("a cat",)).content
    assert row.content != Row("x, row 3", image=other, targets=("a dog",)).content


def test_a_row_without_media_is_what_is_read_and_not_what_is_learned() -> None:
    assert Row("a", text="hello", label="x").content == Row("b", text="hello", label="y").content
    assert Row("a", tokens=("a", "b")).content != Row("a", tokens=("ab",)).content


def test_a_file_that_is_gone_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metadata\.csv, row 3: gone\.jpg cannot be read"):
        _ = Row("metadata.csv, row 3", image=tmp_path / "gone.jpg").content


def test_the_fingerprint_is_that_of_the_rows_in_any_order(tmp_path: Path) -> None:
    rows = (Row("a", text="one", label="x"), Row("b", text="two", label="y", split="train"))
    one = Dataset("d", tmp_path, rows)
    assert one.fingerprint == Dataset("e", tmp_path / "x", rows[::-1]).fingerprint
    assert (
        one.fingerprint != Dataset("d", tmp_path, (rows[0], Row("b", text="two", label="z", split="train"))).fingerprint
    )
    assert one.split("train") == rows[1:]
    assert one.split("") == rows[:1]

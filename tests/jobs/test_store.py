"""The table of jobs: versions, broken files, nothing made by a look."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mmdemo.errors import InputError, UnknownName
from mmdemo.jobs.job import Job
from mmdemo.jobs.store import VERSION, Store


def test_a_look_makes_no_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    assert store.all() == [] and store.claim(1, 1.0, 1.0) is None
    with pytest.raises(UnknownName, match="there is no job yet"):
        store.get("x")
    assert list(tmp_path.iterdir()) == []


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "jobs.sqlite")
    job = Job(
        "a", "train", "Cats; DROP TABLE jobs; 猫", tmp_path / "é", ("python", "-m", "x y", "'"), created=1.5, queued=2.5
    )
    assert store.add("", lambda: job) == job
    assert Store(store.path).all() == [job]
    assert store.change("a", ("queued",), message="x") and not store.change("a", ("done",), message="y")
    assert store.get("a").message == "x"
    with closing(sqlite3.connect(store.path)) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert rows.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_table_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with closing(sqlite3.connect(path)) as rows:
        rows.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(InputError, match="newer mmdemo"):
        Store(path).all()


def test_a_file_that_is_no_table_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_text("This is no database, it is a letter to my aunt. " * 50)
    with pytest.raises(InputError, match=r"cannot be used \(file is not a database\)"):
        Store(path).all()
    assert path.read_text().startswith("This is no database")

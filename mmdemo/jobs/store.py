"""The table of jobs: one SQLite file that several studios, command lines and running jobs share.

Each operation opens a connection of its own and is one transaction, so that any thread or process may call it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError, NoSpace, UnknownName
from mmdemo.jobs.job import ACTIVE, Job

VERSION = 1
"""Of the schema; kept in the file as `user_version`."""
SCHEMA = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, folder TEXT NOT NULL, argv TEXT NOT NULL,
    state TEXT NOT NULL, pid INTEGER NOT NULL, born REAL NOT NULL, created REAL NOT NULL, queued REAL NOT NULL,
    started REAL NOT NULL, ended REAL NOT NULL, message TEXT NOT NULL, token TEXT NOT NULL, attempt INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_token ON jobs (token) WHERE token <> '';
"""
COLUMNS = tuple(field.name for field in fields(Job))
PATIENCE = 30.0
"""Seconds that a transaction waits for another's."""


class Store:
    """The rows of one file, which is made when the first job is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        if not self.path.exists():
            return []
        with self._transaction("DEFERRED") as rows:
            found = rows.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs ORDER BY created DESC, rowid DESC").fetchall()
        return [_job(row) for row in found]

    def get(self, id: str) -> Job:
        """One job.

        Raises:
            UnknownName: there is none of that name.
        """
        jobs = self.all()
        for job in jobs:
            if job.id == id:
                return job
        raise UnknownName("job", id, [job.id for job in jobs] or ["none: there is no job yet"])

    def add(self, token: str, make: Callable[[], Job]) -> Job:
        """The job of `token`, made by `make` if there is none yet; with an empty token always a new one.

        Others who add a job meanwhile wait, so that `make` runs once.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as rows:
            there = rows.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs WHERE token = ?", (token,)).fetchone()
            if token and there:
                return _job(there)
            job = make()
            marks = ", ".join("?" * len(COLUMNS))
            rows.execute(f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({marks})", [_cell(job, c) for c in COLUMNS])
        return job

    def claim(self, pid: int, born: float, now: float) -> Job | None:
        """Take the job that has waited longest, for the process that asks; None while another is at work."""
        if not self.path.exists():
            return None
        with self._transaction() as rows:
            if rows.execute(f"SELECT 1 FROM jobs WHERE state IN {_in(ACTIVE)} LIMIT 1", ACTIVE).fetchone():
                return None
            first = "SELECT id FROM jobs WHERE state = 'queued' ORDER BY queued, rowid LIMIT 1"
            row = rows.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, pid = ?, born = ?, started = ?, ended = 0, "
                f"message = '' WHERE id = ({first}) RETURNING {', '.join(COLUMNS)}",
                (pid, born, now),
            ).fetchone()
        return _job(row) if row else None

    def change(self, id: str, states: Sequence[str], attempt: int | None = None, **values: Any) -> bool:
        """Set columns of a job that is in one of `states` (and at that attempt); whether it was."""
        names = ", ".join(f"{name} = ?" for name in values)
        same = "" if attempt is None else " AND attempt = ?"
        given = [*values.values(), id, *states, *([] if attempt is None else [attempt])]
        with self._transaction() as rows:
            done = rows.execute(f"UPDATE jobs SET {names} WHERE id = ? AND state IN {_in(states)}{same}", given)
            return done.rowcount > 0

    def remove(self, id: str) -> bool:
        """Delete a job that is not at work; whether it was there and was not."""
        with self._transaction() as rows:
            done = rows.execute(f"DELETE FROM jobs WHERE id = ? AND state NOT IN {_in(ACTIVE)}", (id, *ACTIVE))
            return done.rowcount > 0

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """All or nothing; alone, unless it is `DEFERRED`, which only reads.

        Raises:
            NoSpace: the disk is full.
            InputError: the file cannot be used.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as rows:
                rows.execute("PRAGMA journal_mode = WAL")
                rows.execute(f"BEGIN {kind}")
                try:
                    self._upgrade(rows)
                    yield rows
                    rows.execute("COMMIT")
                except BaseException:
                    if rows.in_transaction:  # SQLite itself ends one that meets a full disk
                        rows.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise NoSpace(f"The disk of {self.path} is full: make room, then try again.") from error
            raise InputError(
                f"The list of jobs {self.path} cannot be used ({error}): make it writable, or move it away; "
                "the folders of the jobs stay where they are."
            ) from error

    def _upgrade(self, rows: sqlite3.Connection) -> None:
        """Make the table in a new file."""
        version = rows.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise InputError(f"The list of jobs {self.path} was written by a newer mmdemo: use that one.")
        if version < VERSION:
            for statement in filter(str.strip, SCHEMA.split(";")):
                rows.execute(statement)
            rows.execute(f"PRAGMA user_version = {VERSION}")


def _in(states: Sequence[str]) -> str:
    return f"({', '.join('?' * len(states))})"


def _cell(job: Job, column: str) -> Any:
    value = getattr(job, column)
    return json.dumps(value) if column == "argv" else str(value) if column == "folder" else value


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(COLUMNS, row, strict=True))
    return Job(**{**values, "folder": Path(values["folder"]), "argv": tuple(json.loads(values["argv"]))})

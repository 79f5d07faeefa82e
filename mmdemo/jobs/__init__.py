"""Durable work: a row in SQLite, a process of its own that outlives the studio, its events, stop and resume."""

from __future__ import annotations

from mmdemo.jobs.job import Job
from mmdemo.jobs.runner import Jobs

__all__ = ["Job", "Jobs"]

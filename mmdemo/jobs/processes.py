"""Processes of jobs: whether one is still there, and an end to what it may have left behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

MARK = "_MMDEMO_JOB"
"""Environment variable of every process of a job: its id."""
ROOT = Path(__file__).parents[2]
DRIFT = 60.0
"""Seconds by which the start of one process may be told differently, where the clock was set meanwhile."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment, in which Python finds this package, and nothing that lies in its working folder."""
    folders = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders), "PYTHONSAFEPATH": "1"} | more


def born(pid: int) -> float:
    """When a process began, in seconds since 1970; 0 if there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def alive(pid: int, since: float) -> bool:
    """Whether the process that had this number and began then still runs; another may have the number now."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - since) < DRIFT and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end(job: str) -> None:
    """Kill every process that carries the mark of a job whose watcher is gone.

    On Linux the system does so when the watcher dies; elsewhere a program would go on with nobody to see it.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == job:
                process.kill()

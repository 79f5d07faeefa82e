"""`python -m mmdemo.jobs ID ATTEMPT`: leaves a process that watches over a job, prints its number, ends at once.

The process belongs to no terminal and is nobody's child; when its job has ended it starts the next one that waits.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mmdemo.jobs.runner import Jobs
from mmdemo.jobs.watcher import watch
from mmdemo.settings import Settings


def main() -> int:
    """The exit status of the part that stays in front."""
    parser = argparse.ArgumentParser("python -m mmdemo.jobs")
    parser.add_argument("id")
    parser.add_argument("attempt", type=int)
    parser.add_argument("--home", required=True)
    parser.add_argument("--grace-seconds", required=True)
    given = parser.parse_args()
    settings = Settings.load(home=given.home, grace_seconds=given.grace_seconds)
    behind = os.fork()
    if behind:
        print(behind, flush=True)
        return 0
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    jobs = Jobs(settings)
    watch(jobs.store, given.id, given.attempt, Path(settings.home), float(settings.grace_seconds))
    jobs.advance()
    return 0


if __name__ == "__main__":
    sys.exit(main())

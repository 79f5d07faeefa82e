"""`python -m mmdemo`: the studio's tasks on the command line. See `mmdemo.cli`."""

from __future__ import annotations

import os
import sys
import warnings

from mmdemo.cli import STOPPED, main

if __name__ == "__main__":
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what a library deprecates is nothing the user can act on
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a Windows console may be anything
    status = main()
    if status == STOPPED:
        # The worker thread may be inside a long native call; leaving does not wait for it.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)

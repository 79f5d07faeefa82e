"""`python -m mmdemo.training FOLDER/run.json`: run it, or go on with it; also under `accelerate launch`.

On several processes of a CPU: `accelerate launch --multi_gpu --num_processes 2 -m mmdemo.training FOLDER/run.json`
with `"device": "cpu"` in the file, since `accelerate launch --cpu` wants MPI for that; `torchrun` does as well. With
`--use_fsdp --fsdp_version 2` the model is spread over the processes: see docs/guides/processes.md.

The exit status is 0 when it is done, 75 when it was stopped (SIGTERM, Ctrl+C) and can go on, 74 when the disk is
full, 1 when it failed otherwise.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from mmdemo.training.signals import asked_to_stop


def main(argv: list[str]) -> int:
    """Run the file that the command line names."""
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    stopping = asked_to_stop()
    file = Path(argv[0]).expanduser().resolve()
    folder = file if file.is_dir() else file.parent
    from mmdemo.training.run import run

    return run(folder, stopping=stopping, listener=lambda event: print(event, flush=True))


if __name__ == "__main__":
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what a library deprecates is nothing the user can act on
    sys.exit(main(sys.argv[1:]))

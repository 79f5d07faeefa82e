"""The starter's two towers: what a training of retrieval learned, without the encoders, which the set-up fetches.

`python -m mmdemo train --task text-image-retrieval --data FOLDER --model efficientnet-lite2 --out RUN` learns it, and
`python -m mmdemo.starter.search --run RUN` puts it into `assets/search`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmdemo.folders import REPORT, RUN, TUNED
from mmdemo.fusion.aligned import Aligned
from mmdemo.starter.train import pins

KEY = "starter-search"


def ship(run: Path, out: Path) -> None:
    """Write the projectors of a finished run, with its settings and scores beside them.

    Raises:
        WeightsError: the run has no two towers.
    """
    Aligned.load(run / TUNED).save_learned(out)
    options = json.loads((run / RUN).read_text(encoding="utf-8"))
    report = json.loads((run / REPORT).read_text(encoding="utf-8"))
    record = {
        "recipe": options | {"data": Path(options["data"]).name},
        "rows": report["rows"],
        "before": report["before"],
        "after": report["after"],
    }
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mmdemo.starter.search", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished training of text-image-retrieval")
    parser.add_argument("--out", type=Path, default=Path("assets/search"))
    given = parser.parse_args()
    ship(given.run, given.out)
    print("The catalog's row of the starter search pins these files:", *pins(given.out, KEY), sep="\n")


if __name__ == "__main__":
    main()

"""`python -m benchmarks [NAME…] [--write]`: measure, print the table, and with --write keep it in docs/benchmarks.md.

Each module named in `MODULES` has `run() -> list[Row]`. Nothing here is a test: figures depend on the machine, and the
exit status only says whether everything could be measured.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.table import Row, markdown, text

MODULES = {
    "page": "benchmarks.page",
    "describe": "benchmarks.describe",
    "transcribe": "benchmarks.bench_transcribe",
    "video_memory": "benchmarks.video_memory",
    "training": "benchmarks.training",
    "fusion_training": "benchmarks.fusion_training",
    "language": "benchmarks.language",
    "cold_start": "benchmarks.cold_start",
    "serving": "benchmarks.serving",
    "first_token": "benchmarks.first_token",
}
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def machine() -> str:
    """Processor, cores, memory, system, Python and the versions that matter."""
    from importlib.metadata import version

    import psutil

    packages = ("gradio", "torch", "transformers", "openvino", "ctranslate2", "faster-whisper")
    return (
        f"{processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB memory, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages)
    )


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load() -> str:
    """How busy the machine is, or nothing where the system does not say."""
    return f"load before the run {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def written(document: str, name: str, rows: list[Row], busy: str) -> str:
    """`document` with the block of one benchmark replaced by this run; the others stay.

    Raises:
        ValueError: if the document has no block of that name.
    """
    begin, end = (f"<!-- {name}: {mark} -->" for mark in ("begin", "end"))
    before, found, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{DOCUMENT} needs the lines {begin} and {end}")
    facts = [
        f"- date: {datetime.date.today().isoformat()}",
        f"- machine: {machine()}" + (f"; {busy}" if busy else ""),
        f"- command: `python -m benchmarks {name} --write`",
    ]
    return f"{before}{begin}\n\n{markdown(rows)}\n\n" + "\n".join(facts) + f"\n\n{end}{after}"


def main() -> int:
    """Run what is named (by default everything)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this program beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(MODULES)}; default all")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {DOCUMENT.name}")
    arguments = parser.parse_args()
    names: list[str] = arguments.names or list(MODULES)
    for name in names:
        if name not in MODULES:
            parser.error(f"there is no benchmark {name!r}; choose from: {', '.join(MODULES)}")
    rows: list[Row] = []
    for name in names:
        begun, busy = time.perf_counter(), load()
        print(f"{name} …", file=sys.stderr, flush=True)
        measured: list[Row] = import_module(MODULES[name]).run()
        rows += measured
        if arguments.write:
            document = written(DOCUMENT.read_text(encoding="utf-8"), name, measured, busy)
            DOCUMENT.write_text(document, encoding="utf-8", newline="\n")
        print(f"{name}: measured in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    print(text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

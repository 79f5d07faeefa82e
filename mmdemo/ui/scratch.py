"""Where the page keeps its own files: one folder a run inside Gradio's cache, for this user's eyes only.

Gradio shows what lies in its cache, and deletes only what it put there itself. So everything the page writes
(thumbnails, downloads, films with captions) comes into a folder of its own, made here and nowhere else. The folder
goes when the program ends; what a killed program left goes by age, at the next start or within the hour. Where the
cache lies in the program's own folder, each run has a cache of its own there: Gradio names an upload by its content and
deletes at its end what it has seen, which another run may still show. What is left of runs that are over goes at once.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psutil
from gradio.utils import get_upload_folder

PREFIX = "mmdemo-run-"
AGE = 24 * 3600.0
"""Seconds after which a file that nobody asked for again is deleted; uploads are kept as long."""
EVERY = 3600.0
"""Seconds between two looks for old files."""


class Scratch:
    """The folder of one run, made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: Path | None = None
        self._tidied = 0.0

    def begin(self, own: Path) -> None:
        """Make the folder of this run, and delete what earlier runs left behind.

        Args:
            own: the program's own folder, where the cache of each run lies under the number of its process.
        """
        cache = self.run.parent.resolve()
        if own.resolve() == cache.parent:
            for left in own.iterdir():
                process = left.name.partition("-")[0]
                if process.isdigit() and not psutil.pid_exists(int(process)):
                    shutil.rmtree(left, ignore_errors=True)
        self.tidy()

    @property
    def run(self) -> Path:
        """The folder of this run, mode 0700."""
        with self._lock:
            if self._run is None or not self._run.is_dir():
                root = Path(get_upload_folder())
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._run = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))  # mkdtemp makes it 0700
                atexit.register(shutil.rmtree, self._run, ignore_errors=True)
            return self._run

    def place(self, name: str) -> Path:
        """A path for a new file called `name`, in a folder of its own."""
        self.tidy()
        return Path(tempfile.mkdtemp(dir=self.run)) / Path(name).name

    def shared(self, kind: str, name: str) -> Path:
        """A path for a file that is made once and found again: thumbnails, samples."""
        self.tidy()
        folder = self.run / kind
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / Path(name).name

    def tidy(self, age: float = AGE, every: float = EVERY) -> None:
        """Delete what is older than `age` seconds: runs that were never cleaned up, and old files of this one."""
        now = time.time()
        if now - self._tidied < every:
            return
        self._tidied = now
        run = self.run
        run.touch()  # a run in use is not old
        _sweep(run.parent, PREFIX + "*", run, now - age)
        for file in [file for file in run.rglob("*") if file.is_file() and _older(file, now - age)]:
            file.unlink(missing_ok=True)
            if file.parent.parent == run and not any(file.parent.iterdir()):
                file.parent.rmdir()


def _sweep(root: Path, pattern: str, keep: Path, moment: float) -> None:
    """Delete what matches in `root` and was last changed before `moment`, with all that is directly inside it."""
    for old in root.glob(pattern):
        inside = list(old.iterdir()) if old.is_dir() else []
        if old == keep or not all(_older(one, moment) for one in (old, *inside)):
            continue
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def _older(path: Path, moment: float) -> bool:
    """Whether a file or folder was last changed before `moment`; one that is gone meanwhile was."""
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return True


scratch = Scratch()
"""Of this process: Gradio's cache is one a process too."""

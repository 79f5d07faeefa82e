"""Everything the program needs, from one command: `python3 tools/setup.py`, and `--dev` for the tests' needs too.

It makes `.venv`, installs the pinned packages, and fetches the starter weights. What is there already is left alone, so
that a second run takes a moment and no network. It runs before anything is installed: it imports the standard library
only, and its syntax is that of Python 3.7, so that an old Python can say that it is too old.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Sequence  # noqa: UP035  # collections.abc has no generic Sequence before Python 3.9

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # this is run as a program: its neighbours are not on the path

from tools.browser import find_browser  # noqa: E402

OLDEST = (3, 11)
NEWEST = (3, 14)
"""The newest Python that all pinned packages have wheels for; a newer one is taken only where there is no other."""
STAMP = "mmdemo-setup.json"
"""In `.venv`: the SHA-256 of each requirements file that was installed, and `prepared`: for which models folder."""
PIP = "26.3"
"""The pip that is put into the environment: it takes up a download where the connection broke, those before 25.1 begin
it again."""

NO_ANSWER = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|[Nn]ame ?[Rr]esolution|Max retries"
    r"|Connection (refused|aborted|broken|reset)|Network is unreachable"
)
FULL = re.compile(r"No space left on device|\[Errno 28\]|\[WinError 112\]")
SHOWN = re.compile(r"^(Collecting|Installing collected|Successfully installed)")

VERSION = """
import importlib.util, sys
print(*sys.version_info[:2], int(all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))))
"""
"""Asked of each Python: what it is, and whether it can make environments."""

MISSING = """
import sys
from mmdemo import catalog
from mmdemo.errors import StudioError
from mmdemo.runtime.sources import cached
from mmdemo.settings import Settings
try:
    settings = Settings.load()
except StudioError as error:
    sys.exit(str(error))
print(settings.models_folder)
print(*(row.key for row in catalog.ROWS if row.starter and not cached(row, settings)))
"""
"""Asked of the new Python: where models are kept, and which starter rows are not complete. Imports nothing heavy."""


class SetupError(Exception):
    """Set-up cannot go on; the message is one sentence that says what to do."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def loudly(text: str) -> None:
    """Print something that must not be overlooked."""
    say("\n" + "!" * 78 + "\n" + text + "\n" + "!" * 78 + "\n")


def python_of(venv: Path) -> Path:
    """The Python inside a virtual environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def candidates() -> list[str]:
    """Pythons of this machine: the one that runs this, then what is on the path."""
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)] + ["python3", "python"]
    found = [sys.executable] + [path for path in (shutil.which(name) for name in names) if path]
    return list(dict.fromkeys(found))


def version_of(python: str) -> tuple[int, int, bool]:
    """Major and minor version of a Python, and whether it can make environments; zeros if it does not run."""
    try:
        done = subprocess.run([python, "-c", VERSION], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        major, minor, makes = (int(word) for word in done.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0, 0, False
    return major, minor, bool(makes)


def find_python(pythons: Sequence[str]) -> str:
    """The first Python that fits, the versions with wheels for everything before newer ones."""
    known = [(python, version_of(python)) for python in pythons]
    new = [(python, version) for python, version in known if version[:2] >= OLDEST]
    fitting = [(python, version) for python, version in new if version[2]]
    if fitting:
        return min(fitting, key=lambda pair: pair[1][:2] > NEWEST)[0]
    if new:
        major, minor, _ = new[0][1]
        raise SetupError(
            f"Python {major}.{minor} is here but its venv module is not: install it "
            f"(on Debian and Ubuntu: apt-get install python{major}.{minor}-venv) and run this again."
        )
    newest = "{}.{}".format(*max(version for _, version in known)[:2]) if known else "none"
    raise SetupError(
        f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed and the newest here is {newest}: "
        "install one from https://www.python.org/downloads/ and run this again."
    )


def make_environment(venv: Path) -> Path:
    """The Python of `venv`, which is made if it is not there or does not work."""
    python = python_of(venv)
    if python.exists():
        code = "import sys, pip; sys.exit(sys.version_info < ({}, {}))".format(*OLDEST)
        if subprocess.run([str(python), "-c", code], stderr=subprocess.DEVNULL).returncode == 0:
            return python
        say(f"The environment {venv} does not work any more; it is made anew.")
    base = find_python(candidates())
    say(f"Making {venv} with {base}")
    run([base, "-m", "venv", "--clear", str(venv)], f"The environment {venv} could not be made")
    return python


def digests(root: Path, names: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each requirements file."""
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}


def install(root: Path, venv: Path, dev: bool) -> bool:
    """Install the pinned packages unless exactly these are installed; whether there was anything to do."""
    names = ["requirements.txt"] + (["requirements-dev.txt"] if dev else [])
    wanted = digests(root, names)
    installed = stamped(venv)
    if all(installed.get(name) == digest for name, digest in wanted.items()):
        return False
    say("Installing packages: some minutes and 3 GB the first time")
    pip = [str(python_of(venv)), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    try:
        run([*pip, f"pip=={PIP}"], "A newer pip could not be had, so the one here is used")
    except SetupError as error:
        say(f"  {error}")
    # the last file includes the others; a base set that changes makes an older set of tools unknown
    run([*pip, "-r", str(root / names[-1])], "The packages could not be installed", watch=True)
    stamp(venv, wanted)
    return True


def stamped(venv: Path) -> dict[str, str]:
    """What set-up has noted in the environment; nothing for a new one."""
    try:
        noted: dict[str, str] = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted


def stamp(venv: Path, noted: dict[str, str]) -> None:
    """Note something in the environment, instead of what was noted before."""
    (venv / STAMP).write_text(json.dumps(noted), encoding="utf-8")


def run(command: Sequence[str], trouble: str, watch: bool = False) -> str:
    """Run a command; what it printed.

    With `watch`, say what it is doing: pip's line for each package.

    Raises:
        SetupError: `trouble` and the reason, in one line.
    """
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if watch and SHOWN.match(line):
                text = lines[-1].split(" (from ")[0]
                say("  " + (text if len(text) <= 100 else text[:97] + "..."))
    if process.returncode:
        raise SetupError(f"{trouble}: {reason(lines)}")
    return "\n".join(lines)


def reason(lines: Sequence[str]) -> str:
    """Why pip or another program failed, in one sentence, from what it printed."""
    text = "\n".join(lines)
    if FULL.search(text):
        return "the disk is full; free some gigabytes and run this again."
    if NO_ANSWER.search(text):
        return "the package index could not be reached; connect to the network (or set pip's proxy) and run this again."
    errors = [line for line in lines if re.match(r"(ERROR|error|fatal|E):? ", line)] or [line for line in lines if line]
    return (re.sub(r"^ERROR: ", "", errors[-1]) if errors else "it ended without a word") + " (run this again)"


PREPARED = ("starter-describer", "smollm2-135m-instruct")
"""Their engines convert the files at the first load, which is better done now than at the first question."""


def fetch_weights(root: Path, venv: Path) -> bool:
    """Fetch the starter weights that are not here and prepare them once; whether all went well.

    What could not be done is said loudly, and tried again by the next run.
    """
    python = str(python_of(venv))
    code = f"import sys; sys.path.insert(0, {str(root)!r})\n{MISSING}"
    asked = subprocess.run([python, "-c", code], cwd=str(root), capture_output=True)
    if asked.returncode:
        said = asked.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SetupError(said[-1] if said else "The weights could not be looked for.")
    folder, missing = asked.stdout.decode("utf-8", "replace").splitlines()
    models = [python, "-m", "mmdemo", "models"]
    if missing:
        say("Fetching the starter weights: " + ", ".join(missing.split()))
        if subprocess.run([*models, "fetch", "--starter"], cwd=str(root)).returncode:
            loudly(
                "Not all starter weights are here (the reason stands above).\n"
                "The studio starts without them and says which model is missing; run this again when online."
            )
            return False
    noted = stamped(venv)
    if missing or noted.get("prepared") != folder:
        say("Preparing the starter models: under a minute, once")
        if subprocess.run([*models, "prepare", *PREPARED], cwd=str(root)).returncode:
            loudly(
                "The starter weights are here, but could not all be prepared (the reason stands above).\n"
                "The studio prepares them at the first question, which then takes longer; or run this again."
            )
            return False
        stamp(venv, {**noted, "prepared": folder})
    return True


def get_browser(venv: Path) -> str | None:
    """A Chromium, installed if there is none: by the system's packages where this user may, else by Playwright."""
    python = str(python_of(venv))
    found = find_browser(python)
    ways = [[python, "-m", "playwright", "install", "chromium"]]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        ways[0].insert(4, "--with-deps")  # the libraries it needs, by apt-get too
        ways.insert(0, ["apt-get", "install", "-y", "--no-install-recommends", "chromium"])
        ways.insert(0, ["apt-get", "update"])
    for way in ways:
        if found:
            break
        say("Looking for a browser: " + " ".join(way[-4:]))
        try:
            run(way, "No browser this way")
        except (SetupError, OSError) as error:
            say(f"  {error}")
        found = find_browser(python)
    return found


def set_up(root: Path, dev: bool) -> int:
    """Do what is missing; the exit status."""
    venv = root / ".venv"
    make_environment(venv)
    install(root, venv, dev)
    status = 0
    if not fetch_weights(root, venv):
        status = 1 if dev else 0
    if dev and not get_browser(venv):
        loudly("There is no browser for the browser tests, and none could be installed: install Chromium or Chrome.")
        status = 1 if in_ci() else status
    if status == 0:
        say("Set-up is complete.")
    return status


def in_ci() -> bool:
    """Whether this is a build server, where nothing may be skipped."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def stop(text: str, status: int) -> NoReturn:
    """End with a line."""
    print(text, file=sys.stderr, flush=True)
    sys.exit(status)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools/setup.py", description="Install what the program needs.")
    parser.add_argument("--dev", action="store_true", help="what the tests need too: requirements-dev.txt, a browser")
    given = parser.parse_args(arguments)
    try:
        return set_up(root, given.dev)
    except SetupError as error:
        stop(f"Set-up stopped: {error}", 1)
    except OSError as error:
        stop(f"Set-up stopped: {error.strerror or error} ({error.filename or root}).", 1)
    except KeyboardInterrupt:
        stop("Set-up was interrupted; the same command goes on where it stopped.", 130)


if __name__ == "__main__":
    sys.exit(main())

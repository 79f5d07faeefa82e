"""The command line: the tasks of the page with the same options, and the models.

    python -m mmdemo describe   FILE… [options] [--json] [-o OUT]
    python -m mmdemo caption    FILE… [options] [--format srt|vtt|json|txt] [-o OUT] [--json]
    python -m mmdemo transcribe FILE… [options] [--format srt|vtt|json|txt] [-o OUT] [--json]
    python -m mmdemo why        FILE… [--answer TEXT] [options] [-o OUT] [--json]
    python -m mmdemo align      FILE… --model FOLDER --texts "one a line" [-o OUT] [--json]
    python -m mmdemo classify   [FILE…] [--text TEXT] --model KEY_OR_DIR [--json]
    python -m mmdemo speak      TEXT -o OUT.wav [options] [--json]
    python -m mmdemo models     list|fetch|prepare|remove [KEY…] [--starter] [--json]
    python -m mmdemo models     search WORDS [--task TASK] [--json]
    python -m mmdemo compose    [--vision KEY] [--audio KEY] [--language KEY] [--fusion F] … [--out DIR] [--json]
    python -m mmdemo data       check PATH [--json]
    python -m mmdemo data       list|export|restore|remove [NAME…] [--json]
    python -m mmdemo train      --task TASK --data PATH --out DIR [--model KEY] [--method M] [--set FIELD=VALUE …]
    python -m mmdemo train      --resume DIR
    python -m mmdemo search     --task TASK --data PATH --out DIR [--range FIELD=LOW..HIGH …] [--trials N] [--minutes M]
    python -m mmdemo search     --resume DIR
    python -m mmdemo evaluate   --task TASK --data PATH --model KEY_OR_DIR [--also PATH] [--json]
    python -m mmdemo export     DIR --format adapter|merged|ctranslate2|zip [-o OUT]
    python -m mmdemo jobs       list|show|stop|resume|remove [ID…] [--json]

Results go to standard output, everything else (progress, notes, errors) to standard error. The exit status is 0 if
every input worked, 1 if one did not, 2 for a wrong command line, 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from mmdemo import __version__
from mmdemo.cli import classify, compose, data, evaluate, export, jobs, models, run, speak, train, trials
from mmdemo.errors import StudioError

FAILED, STOPPED = 1, 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m mmdemo",
        description="Describe pictures, caption videos, transcribe recordings, on this machine.",
    )
    top.add_argument("--version", action="version", version=f"mmdemo {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run.add_commands(commands)
    speak.add_command(commands)
    classify.add_command(commands)
    models.add_command(commands)
    for command in (compose, data, train, trials, evaluate, export, jobs):
        command.add_command(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status.

    Raises:
        SystemExit: with status 2 for a wrong command line, with 0 after `--help` and `--version`.
    """
    arguments = parser().parse_args(argv)
    stdout = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a library prints is no result
            return int(arguments.action(arguments, stdout))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader of a pipe left, as `head` does
        sys.stdout = stdout
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return FAILED
    except StudioError as error:
        print(error, file=sys.stderr)
        return FAILED

"""The command `jobs`: what runs, waits and is done; stop one, resume it, remove it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any, TextIO

from mmdemo.cli.output import table
from mmdemo.cli.progress import Reporter
from mmdemo.errors import StudioError
from mmdemo.jobs import Job, Jobs
from mmdemo.settings import Settings

COLUMNS = ("id", "state", "done", "started", "title")


def add_command(commands: Any) -> None:
    """`jobs list|show|stop|resume|remove [ID…] [--json]`."""
    about = "List, watch, stop, resume and remove trainings and other long work."
    group = commands.add_parser("jobs", help=about, description=about)
    actions = group.add_subparsers(dest="what", required=True, metavar="list|show|stop|resume|remove")
    for what, sentence in (
        ("list", "Show what runs, waits and is done."),
        ("show", "Show how a job stands: how far it is, its last scores, where its files are."),
        ("stop", "Stop jobs; what they did so far is kept."),
        ("resume", "Let jobs go on that were stopped, failed or got lost."),
        ("remove", "Delete jobs with everything that they made."),
    ):
        command = actions.add_parser(what, help=sentence, description=sentence)
        if what != "list":
            command.add_argument("ids", nargs="+", metavar="ID", help="as `jobs list` shows it")
        command.add_argument("--json", action="store_true", help="print one JSON object for each job, a line each")
        command.set_defaults(action=run, ids=[])


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if everything asked for was done, else 1."""
    jobs, reporter, status = Jobs(Settings.load()), Reporter(), 0
    if arguments.what == "list":
        return _list(jobs, arguments.json, stdout)
    for id in arguments.ids:
        try:
            found = _act(jobs, arguments.what, id)
        except StudioError as error:
            reporter.line(f"{id}: {error}")
            found, status = {"id": id, "error": str(error)}, 1
        else:
            if not arguments.json:
                _tell(found, arguments.what, reporter, stdout)
        if arguments.json:
            stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    return status


def _act(jobs: Jobs, what: str, id: str) -> dict[str, Any]:
    if what == "remove":
        jobs.remove(id)
        return {"id": id, "removed": True}
    job = {"show": jobs.get, "stop": jobs.stop, "resume": jobs.resume}[what](id)
    return record(jobs, job)


def _tell(found: dict[str, Any], what: str, reporter: Reporter, stdout: TextIO) -> None:
    if what != "show":
        reporter.line(f"{found['id']}: {found.get('state', 'removed')}")
        return
    for name, value in found.items():
        if value not in ("", None, [], {}, 0):
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
            stdout.write(f"{name + ':':12}{text}\n")


def _list(jobs: Jobs, as_json: bool, stdout: TextIO) -> int:
    found = [record(jobs, job) for job in jobs.all()]
    if as_json:
        stdout.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in found)
    elif found:
        cells = [COLUMNS] + [
            (one["id"], one["state"], _done(one), _when(one["started"]), one["title"]) for one in found
        ]
        stdout.writelines(line + "\n" for line in table(cells))
    else:
        Reporter().line("There is no job yet.")
    return 0


def _done(one: dict[str, Any]) -> str:
    return f"{one['step']} of {one['steps']}" if one["steps"] else "-"


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else "-"


def record(jobs: Jobs, job: Job) -> dict[str, Any]:
    """A job as a JSON object; moments in seconds since 1970, `left` in seconds."""
    said = jobs.history(job)
    values = dataclasses.asdict(job) | {"folder": str(job.folder), "argv": list(job.argv)}
    step, steps = said.count
    scores = {split or "all": event["values"] for (_, split), event in said.metrics.items()}
    kept = ("id", "kind", "title", "state", "message", "folder", "argv", "created", "started", "ended", "attempt")
    return {name: values[name] for name in kept} | {
        "step": step,
        "steps": steps,
        "left": round(said.left) if job.active and said.left is not None else None,
        "now": said.words if job.active else "",
        "metrics": scores,
    }

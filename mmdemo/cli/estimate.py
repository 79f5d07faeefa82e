"""The command `models estimate`: what checkpoints would take in memory, before they are fetched or loaded."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any, TextIO

from mmdemo.cli.output import megabytes, table
from mmdemo.cli.progress import Reporter
from mmdemo.errors import StudioError
from mmdemo.runtime import device, memory, quantization
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.standing import How
from mmdemo.studio import Studio


def add_command(actions: Any) -> None:
    """`models estimate KEY… [--quantization Q] [--device D] [--json]`."""
    sentence = "Say what checkpoints would take in memory. Nothing is loaded, and of the Hub's nothing fetched."
    command = actions.add_parser("estimate", help=sentence, description=sentence)
    command.add_argument("keys", nargs="+", metavar="KEY", help="a key, the path of a folder, or hub:owner/name")
    command.add_argument("--quantization", choices=quantization.NAMES, default="auto", help="how the weights are held")
    command.add_argument("--device", choices=device.DEVICES, default="auto", help="where it would run")
    command.add_argument("--json", action="store_true", help="print one JSON object for each checkpoint, a line each")
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if everything could be estimated, else 1."""
    studio, reporter, status = Studio(), Reporter(), 0
    how = How(arguments.quantization, arguments.device)
    for key in arguments.keys:
        try:
            found = _estimate(studio, key, how, reporter)
        except StudioError as error:
            reporter.line(f"{key}: {error}")
            status = 1
            if arguments.json:
                stdout.write(json.dumps({"key": key, "error": str(error)}, ensure_ascii=False) + "\n")
            continue
        reporter.clear()
        place = studio.manager.resolved(studio.manager.spec(key), how)
        remark = quantization.remark(quantization.way(studio.manager.spec(key), place.device, place.quantization))
        fits = memory.fits(found.total, studio.settings.memory_gb, place.device)
        if arguments.json:
            stdout.write(json.dumps(record(key, how, found, fits) | {"remark": remark}, ensure_ascii=False) + "\n")
        else:
            stdout.writelines(line + "\n" for line in (f"{key}:", *table(rows(found, fits))))
            if remark:
                stdout.write(f"  {how.quantization}: {remark}\n")
    studio.close()
    return status


def _estimate(studio: Studio, key: str, how: How, reporter: Reporter) -> Estimate:
    found: Estimate | None = None
    for event in studio.estimate(key, how):
        if isinstance(event, Progress):
            reporter.progress(event)
        else:
            found = event
    assert found is not None, "the studio gives an estimate or raises"
    return found


def record(key: str, how: How, found: Estimate, fits: bool) -> dict[str, Any]:
    """An estimate as a JSON object; sizes in bytes."""
    return {
        "key": key,
        "quantization": how.quantization,
        "device": how.device,
        "dtype": found.dtype,
        "weights": found.weights,
        "modules": [{"name": one.name, "parameters": one.parameters, "bytes": one.bytes} for one in found.parts],
        "cache": found.cache,
        "activations": found.activations,
        "other": found.other,
        "tokens": found.tokens,
        "total": found.total,
        "stored": [dataclasses.asdict(one) for one in found.stored],
        "fits": fits,
    }


def rows(found: Estimate, fits: bool) -> list[tuple[str, ...]]:
    """An estimate as a table."""
    context = f" of {found.tokens:,} tokens" if found.tokens else ""
    lines: list[tuple[str, ...]] = [
        (f"  {one.name}", megabytes(one.bytes), f"{one.parameters:,} parameters" if one.parameters else "")
        for one in found.parts
    ]
    lines.append(("  weights", megabytes(found.weights), found.dtype))
    if found.cache:
        lines.append((f"  key-value cache{context}", megabytes(found.cache), ""))
    if found.activations:
        lines.append(("  activations", megabytes(found.activations), ""))
    if found.other:
        lines.append(("  kept prompts and what else it takes", megabytes(found.other), ""))
    lines.append(
        ("  together", megabytes(found.total), "fits" if fits else "does not fit the free memory of the budget")
    )
    kinds = dict.fromkeys(one.dtype for one in found.stored)
    sizes = {kind: sum(one.bytes for one in found.stored if one.dtype == kind) for kind in kinds}
    lines += [("  in the files", megabytes(size), kind) for kind, size in sizes.items()]
    return lines

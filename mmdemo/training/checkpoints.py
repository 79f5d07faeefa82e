"""Checkpoints of a run: what is needed to go on as if nothing had happened, whole on the disk or not there at all.

What is kept are the trained weights, the optimizer's state, and how far the run is. Nothing else decides the rest: the
order of the rows, the learning rate and the random numbers of a step follow from the seed and the step's number; in a
run with a limit of time the learning rate also from the readings of the clock, which `clock` keeps.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmdemo.errors import WeightsError

FOLDER = "checkpoints"
STATE, WEIGHTS, OPTIMIZER = "state.json", "weights.safetensors", "optimizer.safetensors"


@dataclass
class State:
    """How far a run is.

    Attributes:
        step: steps taken.
        batch: rows computed at once, which memory may have lowered.
        best: the best score of an evaluation so far, and at which step it was.
        waited: evaluations since then.
        seconds: time spent on learning.
    """

    step: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    seconds: float = 0.0


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are learned, by name; tied ones once."""
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


Flat = tuple[dict[str, Tensor], list[dict[str, Any]]]
"""An optimizer's state as named tensors, and its groups without them."""


def save(folder: Path, state: State, model: nn.Module, optimizer: Flat) -> None:
    """Write a checkpoint of this step into a run's folder, and remove what it makes needless.

    Args:
        optimizer: as `flat` makes it.

    Raises:
        OSError: the disk is full or refuses; the checkpoints before it are still there.
    """
    place = folder / FOLDER / f"step-{state.step:09d}"
    if not place.exists():
        tensors, groups = optimizer
        with whole(place) as partial:
            _write(model, partial)
            save_file(tensors, partial / OPTIMIZER)
            text = json.dumps({"state": asdict(state), "groups": groups}, indent=1)
            (partial / STATE).write_text(text + "\n", encoding="utf-8")
    needed = (place.name, _best(folder, state).name)
    for other in (folder / FOLDER).iterdir():
        if other.name not in needed:
            shutil.rmtree(other, ignore_errors=True)


def load(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    share: Callable[[Tensor, Tensor], Tensor] = lambda tensor, weight: tensor,
) -> State:
    """Put the newest checkpoint of a run into model and optimizer; how far it is. Step 0 if there is none.

    Args:
        share: what the optimizer is given of a tensor that belongs to a weight.

    Raises:
        WeightsError: it is damaged, or not of this model; names the file or the tensor.
    """
    found = sorted((folder / FOLDER).glob("step-?????????"))
    if not found:
        return State()
    place = found[-1]
    put(_read(place / WEIGHTS), model)
    values = json.loads((place / STATE).read_text(encoding="utf-8"))
    _restore(optimizer, _read(place / OPTIMIZER), values["groups"], share)
    return State(**values["state"])


def save_best(folder: Path, state: State, model: nn.Module) -> None:
    """Keep the trained weights of this step as the best so far; those before it go when a checkpoint names these."""
    place = _best(folder, state)
    if not place.exists():
        with whole(place) as partial:
            _write(model, partial)


def load_best(folder: Path, state: State, model: nn.Module) -> None:
    """Put the best weights into the model, if some were kept."""
    file = _best(folder, state) / WEIGHTS
    if file.exists():
        put(_read(file), model)


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        WeightsError: it is damaged.
    """
    try:
        found: dict[str, Tensor] = load_file(file)
    except SafetensorError as error:
        raise WeightsError(f"The run's checkpoint {file} is damaged ({error}): begin the run anew.") from error
    return found


def _best(folder: Path, state: State) -> Path:
    return folder / FOLDER / f"best-{state.best_step:09d}"


def _write(model: nn.Module, place: Path) -> None:
    save_file({name: one.detach().cpu().contiguous() for name, one in trained(model).items()}, place / WEIGHTS)


def put(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Copy trained weights into the model, all of them.

    Raises:
        WeightsError: naming a tensor that is missing, has no place, or another shape; nothing is copied then.
    """
    own = trained(model)
    for name in sorted(own.keys() | weights.keys()):
        if name not in weights:
            raise WeightsError(f"A tensor of the run's checkpoint is missing: {name!r}; begin the run anew.")
        if name not in own:
            raise WeightsError(f"A tensor of the run's checkpoint has no place: {name!r}; begin the run anew.")
        if weights[name].shape != own[name].shape:
            raise WeightsError(f"A tensor of the run's checkpoint has another shape: {name!r}; begin the run anew.")
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


@contextmanager
def whole(place: Path) -> Iterator[Path]:
    """A folder that has its name only when all of it is on the disk: written beside it, synchronised, renamed."""
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in (*partial.rglob("*"), partial):
            synchronise(file)
        partial.rename(place)
        synchronise(place.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def synchronise(path: Path) -> None:
    """Wait until a file or folder is on the disk; a folder cannot be asked for on Windows."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flat(optimizer: Any, kept: bool = True) -> Flat:
    """An optimizer's state for `save`; what is spread over processes is put together, for which all of them come here.

    Args:
        kept: whether this process wants it; else it gets nothing.
    """
    state = getattr(optimizer, "optimizer", optimizer).state_dict()
    tensors = {}
    for number, values in state["state"].items():
        for name, value in values.items():
            whole = value.full_tensor() if hasattr(value, "full_tensor") else value
            if kept:
                tensors[f"{number}.{name}"] = whole.detach().cpu().contiguous()
    return tensors, state["param_groups"]


def _restore(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    groups: list[dict[str, Any]],
    share: Callable[[Tensor, Tensor], Tensor],
) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, field = name.partition(".")
        state.setdefault(int(number), {})[field] = share(tensor, weights[int(number)])
    optimizer.load_state_dict({"state": state, "param_groups": groups})

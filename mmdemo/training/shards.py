"""How a model lies on the processes of a run: whole in each of them, or spread over them (FSDP of torch, version 2).

Spread, a copy of the model is cut by `fully_shard`, as accelerate's own settings say, and takes the steps: each process
has its share of weights, gradients and optimizer, and layers are put together while they are computed. The recipe's own
model stays whole and waits in main memory; it is given what was learned when it is to measure, and it is what
checkpoints and the result are written from. So these are the same files however the model lay, and a run may go on
otherwise than it began.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo.errors import UnknownName, Unsupported
from mmdemo.training import checkpoints, dropout
from mmdemo.training.checkpoints import State

WRAPPED = "_checkpoint_wrapped_module."
"""What activation checkpointing puts into names."""


def asked_for(name: str) -> bool:
    """Whether `accelerate launch` was told to use something: `FSDP` or `DEEPSPEED`."""
    return os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true"


def check(method: str) -> None:
    """Refuse ways to spread a model that this loop does not go; to be asked before a model is loaded.

    Raises:
        Unsupported: saying which way to go instead.
    """
    if asked_for("DEEPSPEED"):
        raise Unsupported(
            "DeepSpeed is not used here: choose FSDP, version 2, in accelerate's config, which spreads weights, "
            "gradients and optimizer over the processes as ZeRO 3 does."
        )
    if not asked_for("FSDP"):
        return
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise Unsupported(
            "FSDP is used in its version 2 here: add --fsdp_version 2, or fsdp_version: 2 in accelerate's config."
        )
    if method == "qlora":
        raise Unsupported("FSDP cannot spread weights of 4 bits here: choose lora, or launch it without FSDP.")
    # every process measures the whole model before it is spread, so transformers must load it in each
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"


def lay(accelerator: Any, model: nn.Module, weight_decay: float, note: Callable[[str], None]) -> Whole:
    """The model as it is to lie, by what `accelerate launch` was told.

    Args:
        note: tells the user a sentence.

    Raises:
        UnknownName: accelerate's settings name a kind of layer that the model does not have.
    """
    dropout.quicken(model)
    if not (asked_for("FSDP") and torch.distributed.is_initialized()):
        return Whole(accelerator, model, weight_decay)
    found = Spread(accelerator, model, weight_decay)
    held, every = found.held(), sum(weight.numel() for weight in model.parameters())
    processes = accelerator.num_processes
    note(f"FSDP spreads the model over {processes} processes: this one holds {held:,} of {every:,} weights.")
    return found


class Whole:
    """A model that is whole in every process.

    Attributes:
        model: the recipe's.
        learner: what steps are taken with: the model, from `begin` on perhaps wrapped.
        optimizer: of what learns.
    """

    def __init__(self, accelerator: Any, model: nn.Module, weight_decay: float) -> None:
        self.accelerator, self.model = accelerator, model
        self.learner: nn.Module = model
        self.optimizer: Any = optimizer_of(model, weight_decay)

    def begin(self, folder: Path) -> State:
        """Take up a run's newest checkpoint; how far it is.

        Raises:
            WeightsError: it is damaged, or not of this model.
        """
        state = checkpoints.load(folder, self.model, self.optimizer)
        self.learner, self.optimizer = self.accelerator.prepare(self.model, self.optimizer)
        return state

    def quiet(self, last: bool) -> AbstractContextManager[None]:
        """What to compute a batch of a step in: processes exchange gradients once, with the last one."""
        found: AbstractContextManager[None] = nullcontext() if last else self.accelerator.no_sync(self.learner)
        return found

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """While it lasts the recipe's model is on its device and knows what was learned; all processes come here."""
        yield

    def save(self, folder: Path, state: State) -> None:
        """Write a checkpoint; all processes come here, the first one writes."""
        with self.gathered():
            tensors = checkpoints.flat(self.optimizer, self.accelerator.is_main_process)
            if self.accelerator.is_main_process:
                checkpoints.save(folder, state, self.model, tensors)
        self.accelerator.wait_for_everyone()

    def end(self) -> None:
        """Leave the recipe's model on its device, with the weights that it has."""


class Spread(Whole):
    """A copy of the model, spread over the processes, learns for it."""

    def __init__(self, accelerator: Any, model: nn.Module, weight_decay: float) -> None:
        from accelerate.utils import FullyShardedDataParallelPlugin
        from torch.distributed.device_mesh import init_device_mesh

        self.accelerator = accelerator
        self.model = model.to("cpu")  # the device has never room for both
        self.learner = copy.deepcopy(model)
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        cut(self.learner, mesh, FullyShardedDataParallelPlugin())
        self.optimizer = optimizer_of(self.learner, weight_decay)

    def held(self) -> int:
        """Weights that this process has, learned and frozen."""
        parts: Any = self.learner.parameters()
        return sum(part.to_local().numel() for part in parts)

    def begin(self, folder: Path) -> State:
        """Take up a run's newest checkpoint: each process its share; how far it is."""
        state = checkpoints.load(folder, self.model, self.optimizer, share)
        with torch.no_grad():
            for own, part in self._pairs():
                part.copy_(share(own, part))
        return state

    def quiet(self, last: bool) -> AbstractContextManager[None]:
        """Nothing: gradients are spread with each batch, since whole ones are what there is no room for."""
        return nullcontext()

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """While it lasts the recipe's model is on its device and knows what was learned; all processes come here."""
        self.model.to(self.accelerator.device)
        with torch.no_grad():
            for own, part in self._pairs():
                own.copy_(part.full_tensor())
            theirs = {name.replace(WRAPPED, ""): buffer for name, buffer in self.learner.named_buffers()}
            for name, buffer in self.model.named_buffers():  # a network that learns has batch statistics there
                buffer.copy_(theirs[name])
        yield
        self.model.to("cpu")

    def end(self) -> None:
        """Let go of the copy and its optimizer, and put the recipe's model back on its device."""
        del self.learner, self.optimizer
        self.model.to(self.accelerator.device)

    def _pairs(self) -> Iterator[tuple[Tensor, Any]]:
        """Each weight that learns, whole and spread."""
        kinds = (checkpoints.trained(model).values() for model in (self.model, self.learner))
        return zip(*kinds, strict=True)  # in the same order, though their names may differ


def cut(model: nn.Module, mesh: Any, settings: Any) -> None:
    """Spread a model over the processes of a mesh, in units that are put together to be computed.

    Args:
        settings: accelerate's plugin for FSDP, which reads what `accelerate launch` was told.
    """
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.fsdp import OffloadPolicy, fully_shard

    how = {
        "mesh": mesh,
        "reshard_after_forward": settings.reshard_after_forward,
        "offload_policy": OffloadPolicy() if mesh.device_type == "cpu" else settings.cpu_offload,
    }
    for name in units(model, settings):
        if settings.activation_checkpointing:
            model.set_submodule(name, checkpoint_wrapper(model.get_submodule(name)))
        fully_shard(model.get_submodule(name), **how)
    root: Any = fully_shard(model, **how)
    # in a batch of one process there may be nothing that some part learns from, in that of another there is
    root.set_reduce_scatter_unused_params(True)


def units(model: nn.Module, settings: Any) -> list[str]:
    """Names of the modules that are put together by themselves, inner ones first: accelerate's `auto_wrap_policy`.

    Those that share a weight with another one, as a language model's embedding and head do, stay with the rest.

    Raises:
        UnknownName: a kind of layer is named that the model does not have.
    """
    found = [(name, module) for name, module in model.named_modules() if name and has_forward(module)]
    if settings.min_num_params is not None:
        least = settings.min_num_params or float("inf")
        wanted = [one for one in found if sum(weight.numel() for weight in one[1].parameters()) > least]
    elif settings.auto_wrap_policy is not None:
        own, there = getattr(model, "_no_split_modules", None) or (), {type(module).__name__ for _, module in found}
        kinds = settings.transformer_cls_names_to_wrap or [kind for kind in own if kind in there]
        for kind in kinds:
            if kind not in there:
                raise UnknownName("layer of this model to wrap", kind, sorted(there))
        wanted = [one for one in found if type(one[1]).__name__ in kinds]
    else:
        wanted = []
    often = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    shared = {one for one, times in often.items() if times > 1}
    alone = [name for name, module in wanted if not shared.intersection(map(id, module.parameters()))]
    return alone[::-1]


def has_forward(module: nn.Module) -> bool:
    """Whether a module is computed as such, and is no mere list of others."""
    return not isinstance(module, (nn.ModuleList, nn.ModuleDict))


def share(tensor: Tensor, weight: Any) -> Tensor:
    """What a process has of a whole tensor, spread as a weight is; a tensor of another shape as it is."""
    if tensor.shape != weight.shape:
        return tensor
    found: Any = torch.empty_like(weight, dtype=tensor.dtype)
    pieces = tensor.chunk(weight.device_mesh.size())  # as `fully_shard` does, the last processes may have nothing
    place = weight.device_mesh.get_local_rank()
    if place < len(pieces):
        found.to_local().copy_(pieces[place])
    spread: Tensor = found
    return spread


def optimizer_of(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (arXiv:1711.05101), all of its arithmetic in one pass; vectors (biases, norms) do not decay.

    The learning rate is that of each step.
    """
    learned = checkpoints.trained(model).values()
    matrices, vectors = [one for one in learned if one.ndim > 1], [one for one in learned if one.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)

"""Two ways to run a fusion model one word at a time: OpenVINO graphs on a CPU, torch on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmdemo import private_openvino
from mmdemo.runtime.backends import fusion_graphs

Floats = NDArray[np.float32]


class Engine(Protocol):
    """`prefill` reads pictures, `step` adds a word; the state between them is the engine's own.

    A state is tensors whose first axis is the batch; nothing that is given to an engine is changed by it.
    """

    def prefill(self, pixels: Floats) -> tuple[Floats, Floats, Any]:
        """(batch, 3, size, size) → class logits, logits of the first word, state."""

    def step(self, tokens: NDArray[np.int64], state: Any) -> tuple[Floats, Any]:
        """(batch,) tokens → logits of the next word (batch, vocabulary), state."""

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of some rows of the batch, as a copy."""

    def join(self, states: Sequence[Any]) -> Any:
        """The states of several batches as one."""


class OpenVinoEngine:
    """The exported graphs. Loading them does not import torch; they are exported at first use and kept."""

    def __init__(
        self, folder: Path, encoder_folder: Path, threads: int, go_on: Callable[[], None] = lambda: None
    ) -> None:
        """Load the graphs.

        Args:
            go_on: called before each long step; raises what ends the loading.
        """
        graphs = fusion_graphs.ready(folder, encoder_folder, go_on)
        go_on()
        core = private_openvino.load().Core()
        # float32 although bfloat16 is faster on some machines: the sentences must be those of the eager model.
        how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._prefill = core.compile_model(graphs / "prefill.xml", "CPU", how)
        self._step = core.compile_model(graphs / "step.xml", "CPU", how)

    def prefill(self, pixels: Floats) -> tuple[Floats, Floats, Any]:
        """See `Engine`."""
        classes, logits, *state = self._prefill(pixels).to_tuple()
        return classes, logits, state

    def step(self, tokens: NDArray[np.int64], state: Any) -> tuple[Floats, Any]:
        """See `Engine`."""
        logits, *grown = self._step([tokens[:, None], *state], share_inputs=True).to_tuple()
        return logits, [*grown, *state[len(grown) :]]

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """See `Engine`."""
        return [tensor[list(rows)] for tensor in state]

    def join(self, states: Sequence[Any]) -> Any:
        """See `Engine`."""
        return [np.concatenate(tensors) for tensors in zip(*states, strict=True)]


class TorchEngine:
    """The model itself, in float32, on any device of torch."""

    def __init__(self, folder: Path, encoder_folder: Path, device: str) -> None:
        import torch

        from mmdemo.fusion.checkpoint import assemble
        from mmdemo.fusion.export import Prefill, Step

        self._torch, self._device = torch, device
        self.model = assemble(folder, encoder_folder).to(device)
        self._prefill, self._step = Prefill(self.model).to(device), Step(self.model)

    def prefill(self, pixels: Floats) -> tuple[Floats, Floats, Any]:
        """See `Engine`."""
        with self._torch.inference_mode(), self._torch.device(self._device):
            classes, logits, *state = self._prefill(self._torch.from_numpy(pixels).to(self._device))
            return classes.cpu().numpy(), logits.cpu().numpy(), state

    def step(self, tokens: NDArray[np.int64], state: Any) -> tuple[Floats, Any]:
        """See `Engine`."""
        with self._torch.inference_mode(), self._torch.device(self._device):
            logits, *grown = self._step(self._torch.from_numpy(tokens[:, None]).to(self._device), *state)
            return logits.cpu().numpy(), [*grown, *state[len(grown) :]]

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """See `Engine`."""
        return [tensor[list(rows)] for tensor in state]

    def join(self, states: Sequence[Any]) -> Any:
        """See `Engine`."""
        with self._torch.inference_mode():
            return [self._torch.cat(tensors) for tensors in zip(*states, strict=True)]

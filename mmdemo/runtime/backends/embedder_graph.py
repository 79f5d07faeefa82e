"""A text encoder with its pooling as an OpenVINO graph, made once and kept beside the weights.

The graph takes what the tokenizer gives, (texts, tokens) each, and gives the vectors, (texts, width), of length 1. It
computes in float32, and is kept only if its tokens and its vectors are those of the model that it was made of. To run
it, torch is not imported.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmdemo import private_openvino
from mmdemo.errors import StudioError
from mmdemo.runtime import headers

if TYPE_CHECKING:
    from mmdemo.runtime.backends.embedder_torch import TorchEncoder

Floats = NDArray[np.float32]
VERSION = 1
"""Counts the changes of what is written, so that older graphs are not used."""
LONGEST = 256
"""Tokens of a text that are read; all-MiniLM-L6-v2 was trained with 128 and is published with 256."""
FOLDER, GRAPH, NOTE = "openvino", "encoder.xml", "made_from.json"
NEAR = 1e-4
"""Most that a number of a vector may differ from the model's own; measured with MiniLM: 3e-6."""
EXAMPLES = (
    ("A dog runs on the beach.", "", "Два слова, 两个词, and an e\u0301 – 3.14!"),
    ("word " * 400, "A small child in a red coat is climbing up a set of stairs in an entry way."),
)
"""Texts that a graph and its model must agree on: short, empty, foreign, and longer than is read."""


class OpenVinoEncoder:
    """The graph, compiled for this processor, and the tokenizer."""

    def __init__(self, folder: Path, threads: int, graph: Path | None = None) -> None:
        """Load them.

        Args:
            folder: where the tokenizer lies.
            graph: its file, if not beside the weights.
        """
        self._tokenizer = tokenizer_of(folder)
        core = private_openvino.load().Core()
        how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._compiled = core.compile_model(graph or folder / FOLDER / GRAPH, "CPU", how)
        self._names = [port.get_any_name() for port in self._compiled.inputs]
        self.width = int(self._compiled.outputs[0].get_partial_shape()[1].get_length())

    def tokens(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """What the graph reads, (texts, tokens) each."""
        rows = self._tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": [row.ids for row in rows],
            "attention_mask": [row.attention_mask for row in rows],
            "token_type_ids": [row.type_ids for row in rows],
        }
        return {name: np.array(given[name], np.int64) for name in self._names}

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(texts, width), of length 1; all of them at once."""
        found: Floats = self._compiled(self.tokens(texts))[0]
        return found


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a folder, which cuts texts and pads them.

    Raises:
        OSError, ValueError: there is no `tokenizer.json`, or it names no token to pad with.
    """
    from tokenizers import Tokenizer

    named = json.loads((folder / "tokenizer_config.json").read_bytes()).get("pad_token")
    word = named.get("content") if isinstance(named, dict) else named
    tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
    pad = tokenizer.token_to_id(word) if word else None
    if pad is None:
        raise ValueError(f"{folder} names no token to pad with")
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding(pad_id=pad, pad_token=word)
    return tokenizer


def kept(folder: Path) -> bool:
    """Whether there is a graph beside the weights of a folder, and it was made of them."""
    return _is_known(folder) and (folder / FOLDER / GRAPH).is_file()


def is_refused(folder: Path) -> bool:
    """Whether these weights were tried before, and no graph could be made of them."""
    return _is_known(folder) and not (folder / FOLDER / GRAPH).is_file()


def sizes(folder: Path) -> tuple[int, int, int]:
    """Numbers of the embeddings and what else is no matrix, numbers of the matrices, and heads of an attention."""
    shapes = {name: tensor.shape for name, tensor in headers.tensors(folder).items()}
    apart = {name: math.prod(shape) for name, shape in shapes.items() if len(shape) < 2 or "embedding" in name}
    config = json.loads((folder / "config.json").read_bytes())
    heads = int(config.get("num_attention_heads") or config.get("n_heads") or 12)
    return sum(apart.values()), sum(map(math.prod, shapes.values())) - sum(apart.values()), heads


def make(folder: Path, model: TorchEncoder, go_on: Callable[[], None] = lambda: None) -> bool:
    """Make the graph of a model whose weights lie in a folder; whether it is there then.

    Args:
        model: on the CPU.
        go_on: called before each long step; raises what ends it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".openvino-", dir=folder) as name:
            made = Path(name) / "made"
            made.mkdir()
            if not _written(folder, made / GRAPH, model, go_on):
                shutil.rmtree(made)
                made.mkdir()  # the note alone says that it was tried
            (made / NOTE).write_text(_identity(folder))
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            made.rename(folder / FOLDER)
    except OSError:
        return False  # a folder that cannot be written, or a full disk
    return kept(folder)


def _written(folder: Path, file: Path, model: TorchEncoder, go_on: Callable[[], None]) -> bool:
    """Write the graph; whether its tokens and vectors are those of the model."""
    from mmdemo.fusion.export import graph_of

    go_on()
    try:
        graph = graph_of(model.model, dict(model.tokens(EXAMPLES[0])))
        graph.reshape({port: [-1, -1] for port in graph.inputs})
        go_on()
        private_openvino.load().save_model(graph, file, compress_to_fp16=False)
        del graph
        encoder = OpenVinoEncoder(folder, threads=1, graph=file)
        for texts in EXAMPLES:
            right, own = model.tokens(texts), encoder.tokens(texts)
            if not all(np.array_equal(right[name].numpy(), values) for name, values in own.items()):
                return False
            if not np.abs(model.vectors(texts) - encoder.vectors(texts)).max() <= NEAR:  # nor if it is no number
                return False
    except (StudioError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # an architecture may refuse in its own way: torch runs it
        return False
    return True


def _is_known(folder: Path) -> bool:
    try:
        return (folder / FOLDER / NOTE).read_text() == _identity(folder)
    except OSError:
        return False


def _identity(folder: Path) -> str:
    """What tells weights, configuration and tokenizer from others that take their place."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")])
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.name[0] != "."]
    return json.dumps({"version": VERSION, "files": states})

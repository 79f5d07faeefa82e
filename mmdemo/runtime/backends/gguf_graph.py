"""A GGUF language model as an OpenVINO graph, made once and kept beside the file.

`openvino-genai` reads GGUF files of Llama and Qwen kinds, but rounds the zero point of every block of a `Q4_1` weight
to a whole number: a shift of a quarter of a step on average, which costs a fifth in perplexity (docs/experiments.md).
So the zero points are taken from the file again: each row of a matrix is found by the scales of its blocks. Matrices
that read the same input (queries, keys and values; gate and up) become one, which saves a third of the operators that
a token takes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo import private_openvino
from mmdemo.runtime import headers

Floats = NDArray[np.float32]
KINDS = ("llama", "qwen2", "qwen3")
"""Values of `general.architecture` whose graphs openvino-genai builds."""
EXACT = ("F32", "F16", "Q8_0", "Q4_0")
"""Types that openvino-genai takes over as they are: their zero points are whole numbers."""
BLOCK = 20
"""Bytes of a block of 32 `Q4_1` weights w = d · q + m: d and m as float16, then q in 4 bits (ggml-common.h)."""
FOLDERS = {True: "openvino", False: "openvino-rounded"}
"""Beside the file: the graph with the file's own zero points, and the faster one with rounded ones."""
NOTE = "made_from.json"
PARTS = ("openvino_tokenizer.xml", "openvino_tokenizer.bin", "openvino_detokenizer.xml", "openvino_detokenizer.bin")


def readable(packed: Path) -> bool:
    """Whether the file is of a kind, and its weights of types, of which a graph can be made without loss."""
    header = headers.gguf(packed)
    return header.values.get("general.architecture") in KINDS and {*header.types.values()} <= {*EXACT, "Q4_1"}


def folder_of(packed: Path, exact: bool) -> Path:
    """Where the graph of a file is kept."""
    return packed.parent / FOLDERS[exact]


def is_made(packed: Path, exact: bool) -> bool:
    """Whether the graph beside a file was made from it."""
    note = folder_of(packed, exact) / NOTE
    return note.is_file() and note.read_text() == identity(packed)


def identity(packed: Path) -> str:
    """What tells a file from another one that takes its place."""
    state = packed.stat()
    return json.dumps({"file": packed.name, "bytes": state.st_size, "changed": state.st_mtime_ns})


def make(packed: Path, exact: bool, go_on: Callable[[], None] = lambda: None) -> Path:
    """The folder with the graph and its tokenizer, made now; complete or not there at all.

    Args:
        exact: with the zero points of the file; else with those that openvino-genai rounds: faster, and worse.
        go_on: called before each long step; raises what ends it.
    """
    target = folder_of(packed, exact)
    with tempfile.TemporaryDirectory(prefix=".openvino-", dir=packed.parent) as name:
        raw, made = Path(name) / "raw", Path(name) / "made"
        raw.mkdir()
        made.mkdir()
        link = raw / "model.gguf"
        link.symlink_to(packed.resolve())
        go_on()
        private_openvino.genai().LLMPipeline(str(link), "CPU", enable_save_ov_model=True)
        go_on()
        openvino = private_openvino.load()
        graph = openvino.Core().read_model(raw / "openvino_model.xml")
        _rewrite(openvino, graph, zeros_of(packed) if exact else {})
        go_on()
        openvino.save_model(graph, made / "openvino_model.xml", compress_to_fp16=False)
        del graph
        for part in PARTS:
            shutil.copyfile(raw / part, made / part)
        (made / NOTE).write_text(identity(packed))
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return target


def zeros_of(packed: Path) -> dict[bytes, Floats]:
    """The zero points of every row of every `Q4_1` matrix, −m / d, (blocks, 1), by the scales of its blocks."""
    from gguf import GGUFReader

    zeros: dict[bytes, Floats] = {}
    for tensor in GGUFReader(packed).tensors:
        if tensor.tensor_type.name != "Q4_1":
            continue
        blocks = np.asarray(tensor.data).reshape(-1).view(np.uint8).reshape(int(tensor.shape[1]), -1, BLOCK)
        pairs = np.ascontiguousarray(blocks[:, :, :4]).view(np.float16)
        for scales, least in zip(pairs[:, :, :1], pairs[:, :, 1:], strict=True):
            whole = np.where(scales == 0, 1, scales).astype(np.float32)
            zeros.setdefault(scales.tobytes(), -least.astype(np.float32) / whole)
    return zeros


def _rewrite(openvino: Any, graph: Any, zeros: dict[bytes, Floats]) -> None:
    """Give the matrices of a graph their zero points, and make one of those that read the same input.

    Args:
        zeros: as `zeros_of` gives them; empty: the matrices keep those that they have.
    """
    readers: dict[tuple[str, int], list[_Matrix]] = {}
    for node in graph.get_ordered_ops():
        matrix = _Matrix.of(node)
        if matrix is not None:
            source = node.input(0).get_source_output()
            place = source.get_node().get_friendly_name(), source.get_index()
            readers.setdefault(place, []).append(matrix)
    for matrices in readers.values():
        _join(openvino, matrices, zeros)
    graph.validate_nodes_and_infer_types()


class _Matrix:
    """A matrix product of the graph and the constants of its weights: values and zero points, scales."""

    def __init__(self, node: Any, values: Any, zeros: Any, scales: Any) -> None:
        self.node, self.values, self.zeros, self.scales = node, values, zeros, scales
        self.height, groups, width = values.get_output_shape(0)
        self.width = groups * width
        self.bits = 8 if "8" in values.get_output_element_type(0).get_type_name() else 4

    @classmethod
    def of(cls, node: Any) -> _Matrix | None:
        """The matrix of a node, if it is a product with block-quantized weights.

        In the graph: MatMul(x, Convert(Reshape(Multiply(Subtract(Convert(values), Convert(zeros)), scales)))).
        """
        if node.get_type_name() != "MatMul":
            return None
        steps = [node.input(1).get_source_output().get_node()]
        for kind in ("Convert", "Reshape", "Multiply", "Subtract"):
            if steps[-1].get_type_name() != kind:
                return None
            steps.append(steps[-1].input(0).get_source_output().get_node())
        _, _, multiply, subtract, converted = steps
        scales = multiply.input(1).get_source_output().get_node()
        zeros = subtract.input(1).get_source_output().get_node().input(0).get_source_output().get_node()
        return cls(node, converted.input(0).get_source_output().get_node(), zeros, scales)

    def true_zeros(self, zeros: dict[bytes, Floats]) -> Floats | None:
        """The zero points of the file, (height, groups, 1), if all rows are known."""
        keys = [scales.tobytes() for scales in np.asarray(self.scales.data)]
        return np.stack([zeros[key] for key in keys]) if all(key in zeros for key in keys) else None


def _join(openvino: Any, matrices: list[_Matrix], zeros: dict[bytes, Floats]) -> None:
    """Replace products with one input by a single product and a split."""
    if len({matrix.bits for matrix in matrices}) > 1:
        return  # weights of several types cannot be one constant
    ops = openvino.opset13
    known = [matrix.true_zeros(zeros) for matrix in matrices] if zeros and matrices[0].bits == 4 else [None]
    exact = [block for block in known if block is not None]
    if len(exact) == len(matrices):
        shifts = ops.constant(np.concatenate(exact).astype(np.float16))
    elif len(matrices) > 1:
        shifts = ops.convert(_stacked(openvino, [matrix.zeros for matrix in matrices]), "f16")
    else:
        return
    product = ops.matmul(
        matrices[0].node.input(0).get_source_output(), _weights(openvino, matrices, shifts), False, True
    )
    if len(matrices) == 1:
        outputs = [product.output(0)]
    else:
        heights = np.array([matrix.height for matrix in matrices], np.int64)
        split = ops.variadic_split(product, ops.constant(np.int64(-1)), ops.constant(heights))
        outputs = [split.output(index) for index in range(len(matrices))]
    for matrix, output in zip(matrices, outputs, strict=True):
        for reader in list(matrix.node.output(0).get_target_inputs()):
            reader.replace_source_output(output)


def _weights(openvino: Any, matrices: list[_Matrix], shifts: Any) -> Any:
    """The weights of several matrices below each other: (values − zero points) · scales, as float32."""
    ops = openvino.opset13
    values = _stacked(openvino, [matrix.values for matrix in matrices])
    scales = ops.constant(np.concatenate([np.asarray(matrix.scales.data) for matrix in matrices]))
    product = ops.multiply(ops.subtract(ops.convert(values, "f16"), shifts), scales)
    shape = np.array([sum(matrix.height for matrix in matrices), matrices[0].width], np.int64)
    return ops.convert(ops.reshape(product, ops.constant(shape), False), "f32")


def _stacked(openvino: Any, constants: list[Any]) -> Any:
    """Constants below each other; their data are packed bytes where a value has 4 bits."""
    shape = list(constants[0].get_output_shape(0))
    shape[0] = sum(constant.get_output_shape(0)[0] for constant in constants)
    packed = np.concatenate([np.asarray(constant.data).reshape(-1) for constant in constants])
    kind = constants[0].get_output_element_type(0)
    return openvino.op.Constant(openvino.Tensor(packed, openvino.Shape(shape), kind), shared_memory=False)

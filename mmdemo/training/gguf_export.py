"""A language model of the Llama kind as one GGUF file, as llama.cpp, Ollama and OpenVINO GenAI read it.

The names of the tensors are those of the package `gguf`, which llama.cpp publishes; the order of rotary channels and
the names of pre-tokenizers are those of llama.cpp's `convert_hf_to_gguf.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import Unsupported

if TYPE_CHECKING:
    from gguf import GGUFWriter

KINDS = {"gguf": "F16", "gguf-q8_0": "Q8_0"}
"""Export format to the type of its matrices; vectors stay in float32."""
BYTES = {"type": "ByteLevel"}
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
NORMAL, CONTROL, USER, UNUSED = 1, 3, 4, 5
"""Kinds of tokens, as `gguf.TokenType` numbers them."""


def write(model: Path, file: Path, kind: str) -> None:
    """Write the checkpoint in a folder as a GGUF file; one tensor at a time is in memory.

    Args:
        kind: `F16` or `Q8_0`.

    Raises:
        Unsupported: it is no Llama, or has something that such a file cannot say.
    """
    import gguf

    config = json.loads((model / "config.json").read_text("utf-8"))
    check(config, model.parent.name)
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    pre = pre_tokenizer(tokenizer, model.parent.name)
    writer = gguf.GGUFWriter(str(file), "llama")
    try:
        _about(writer, config, model.parent.name, kind)
        _vocabulary(writer, tokenizer, pre, model, int(config["vocab_size"]))
        quantized = gguf.GGMLQuantizationType[kind]
        plan = [(name, shape, _kind_of(shape, quantized)) for name, shape in _shapes(model, config)]
        for name, shape, type_ in plan:
            size = math.prod(gguf.quant_shape_to_byte_shape(shape, type_))
            writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=type_)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        types = {name: type_ for name, _, type_ in plan}
        for name, values in _tensors(model, config):
            writer.write_tensor_data(gguf.quantize(values, types[name]))
    finally:
        writer.close()


def check(config: Mapping[str, Any], name: str) -> None:
    """Refuse what this does not convert.

    Raises:
        Unsupported: saying what is converted.
    """
    if config.get("model_type") != "llama":
        raise Unsupported(f"{name} is no language model of the Llama kind: only those are exported as GGUF.")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaled = rope.get("rope_type", rope.get("type", "default")) != "default"
    if scaled or config.get("attention_bias") or config.get("mlp_bias"):
        raise Unsupported(
            f"{name} has scaled positions or biases, which are not exported as GGUF: export it as merged."
        )


def pre_tokenizer(tokenizer: Mapping[str, Any], name: str) -> str:
    """How llama.cpp calls the way that text is cut before it becomes tokens.

    Raises:
        Unsupported: it has no name for this way.
    """
    steps = tokenizer.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    kinds = [step.get("type") for step in steps]
    plain = tokenizer["model"].get("type") == "BPE" and not (tokenizer.get("normalizer") or {}).get("type")
    if plain and kinds == ["ByteLevel"]:
        return "gpt-2" if steps[0].get("use_regex", True) else "default"
    if plain and kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if plain and kinds == ["Split", "ByteLevel"] and steps[0].get("pattern", {}).get("Regex") == LLAMA3:
        return "llama-bpe"
    raise Unsupported(f"{name} cuts text in a way that GGUF has no name for here: export it as merged.")


def _about(writer: GGUFWriter, config: Mapping[str, Any], name: str, kind: str) -> None:
    import gguf

    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or config["hidden_size"] // heads)
    rope = config.get("rope_parameters") or config
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _vocabulary(writer: GGUFWriter, tokenizer: Mapping[str, Any], pre: str, model: Path, count: int) -> None:
    """Tokens by their number, merges, special tokens and the chat template."""
    import gguf

    tokens = [f"[PAD{number}]" for number in range(count)]
    kinds = [UNUSED] * count
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], kinds[number] = token, NORMAL
    for added in tokenizer.get("added_tokens", ()):
        tokens[added["id"]], kinds[added["id"]] = added["content"], CONTROL if added["special"] else USER
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    special = gguf.SpecialVocab(str(model), load_merges=True, n_vocab=count)
    special.add_special_token.setdefault("bos", False)
    special.add_to_gguf(writer, quiet=True)


def _names(config: Mapping[str, Any]) -> Any:
    import gguf

    return gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, int(config["num_hidden_layers"]))


def _files(model: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name in the file, name in the checkpoint, and the open checkpoint that has it."""
    from safetensors import safe_open

    names = _names(config)
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, framework="pt") as opened:
            for name in sorted(opened.keys()):
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                found = names.get_name(name, try_suffixes=(".weight",))
                if found is None:
                    raise Unsupported(f"{model.parent.name} has the weight {name}, which GGUF has no name for.")
                yield found, name, opened


def _shapes(model: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for found, name, opened in _files(model, config):
        yield found, tuple(opened.get_slice(name).get_shape())


def _tensors(model: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    heads = int(config["num_attention_heads"])
    for found, name, opened in _files(model, config):
        values: NDArray[np.float32] = opened.get_tensor(name).float().numpy()
        if name.endswith("q_proj.weight"):
            values = turned(values, heads)
        elif name.endswith("k_proj.weight"):
            values = turned(values, int(config.get("num_key_value_heads") or heads))
        yield found, values


def turned(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """(heads · width, in): rotary channels from halves, as transformers has them, to pairs, as llama.cpp has them."""
    parts = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return np.ascontiguousarray(parts.swapaxes(1, 2).reshape(weight.shape))


def _kind_of(shape: tuple[int, ...], wanted: Any) -> Any:
    """Vectors stay as they are; rows that are no whole blocks of Q8_0 are kept in float16."""
    import gguf

    if len(shape) < 2:
        return gguf.GGMLQuantizationType.F32
    block = gguf.GGML_QUANT_SIZES[wanted][0]
    return wanted if shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16

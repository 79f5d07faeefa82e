"""A CTranslate2 Whisper folder as a `transformers` checkpoint, without loss.

CTranslate2 stores the query, key and value projections of a layer as one matrix, the key bias as zeros and the output
projection as an alias of the token embeddings (ctranslate2/converters/transformers.py, `BartLoader`,
`WhisperLoader`); here they are taken apart again. The weights keep their type on disk; `config.json` says float32,
which is what `from_pretrained` computes in.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import WeightsError
from mmdemo.runtime import ctranslate2_file
from mmdemo.runtime.ctranslate2_file import Model

Tensors = dict[str, NDArray[Any]]
TOP = {
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
    "embeddings/weight": "embed_tokens.weight",
    "position_encodings/encodings": "embed_positions.weight",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
}
"""Names outside the layers, CTranslate2 to transformers."""
IN_LAYER = {
    "self_attention/layer_norm/gamma": "self_attn_layer_norm.weight",
    "self_attention/layer_norm/beta": "self_attn_layer_norm.bias",
    "self_attention/linear_1/weight": "self_attn.out_proj.weight",
    "self_attention/linear_1/bias": "self_attn.out_proj.bias",
    "attention/layer_norm/gamma": "encoder_attn_layer_norm.weight",
    "attention/layer_norm/beta": "encoder_attn_layer_norm.bias",
    "attention/linear_0/weight": "encoder_attn.q_proj.weight",
    "attention/linear_0/bias": "encoder_attn.q_proj.bias",
    "attention/linear_2/weight": "encoder_attn.out_proj.weight",
    "attention/linear_2/bias": "encoder_attn.out_proj.bias",
    "ffn/layer_norm/gamma": "final_layer_norm.weight",
    "ffn/layer_norm/beta": "final_layer_norm.bias",
    "ffn/linear_0/weight": "fc1.weight",
    "ffn/linear_0/bias": "fc1.bias",
    "ffn/linear_1/weight": "fc2.weight",
    "ffn/linear_1/bias": "fc2.bias",
}
"""Names inside a layer."""
FUSED = {"self_attention/linear_0": ("self_attn", "qkv"), "attention/linear_1": ("encoder_attn", "kv")}
"""Projections stored as one."""
TIMES = 1501
"""Time tokens, 0.00 to 30.00 seconds."""


def ctranslate2_to_transformers(folder: Path, out: Path) -> Path:
    """Convert a folder with `model.bin`, `config.json` and `tokenizer.json`; return `out`.

    Nothing is done if `out` is there: it is written elsewhere and put in place when it is complete.

    Raises:
        WeightsError: the folder does not hold a float Whisper checkpoint of CTranslate2.
    """
    if out.is_dir():
        return out
    model = ctranslate2_file.read(folder / "model.bin")
    if model.name != "WhisperSpec":
        raise WeightsError(f"{folder.name} holds a {model.name}, not a Whisper model: choose another folder.")
    settings, tokenizer = _json(folder / "config.json"), _json(folder / "tokenizer.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _write(model, settings, tokenizer, temporary)
        temporary.chmod(0o755)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def state(model: Model) -> Tensors:
    """The weights under their names in `WhisperForConditionalGeneration`, `proj_out` (tied) left out.

    Raises:
        WeightsError: a tensor has no place there, or a key projection has a bias.
    """
    tensors: Tensors = {}
    for name, tensor in model.tensors.items():
        if tensor.ndim and name not in model.aliases:
            for key, value in _renamed(name, tensor):
                tensors[key] = value
    if model.aliases.get("decoder/projection/weight") != "decoder/embeddings/weight":
        raise WeightsError("The output projection of this Whisper model is not tied: it cannot be converted.")
    return tensors


def _renamed(name: str, tensor: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    if not np.issubdtype(tensor.dtype, np.floating):
        raise WeightsError(f"{name} is quantized ({tensor.dtype}): convert the float16 model instead.")
    side, _, rest = name.partition("/")
    layer, _, part = rest.partition("/")
    if rest in TOP:
        yield f"model.{side}.{TOP[rest]}", tensor
        return
    prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
    stem, _, kind = part.rpartition("/")
    if part in IN_LAYER:
        yield f"{prefix}.{IN_LAYER[part]}", tensor
    elif stem in FUSED and kind in ("weight", "bias"):
        attention, letters = FUSED[stem]
        if len(tensor) % len(letters):
            raise WeightsError(f"{name} has {len(tensor)} rows, which {len(letters)} projections cannot share.")
        for letter, piece in zip(letters, np.split(tensor, len(letters)), strict=True):
            if kind == "bias" and letter == "k":
                if np.any(piece):
                    raise WeightsError(f"{name} has a key bias, which Whisper has not: it cannot be converted.")
            else:
                yield f"{prefix}.{attention}.{letter}_proj.{kind}", piece
    else:
        raise WeightsError(f"{name} is no part of Whisper: it cannot be converted.")


def _write(model: Model, settings: Mapping[str, Any], tokenizer: dict[str, Any], out: Path) -> None:
    """Write all files of the checkpoint and load it once, to see that every key has its place."""
    import torch
    from safetensors.torch import save_file

    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    tensors = state(model)
    ids = {token["content"]: token["id"] for token in tokenizer.get("added_tokens", ())}
    try:
        config = WhisperConfig(**_config(model, tensors, settings, ids))
        generation = GenerationConfig(**_generation(settings, ids))
    except KeyError as error:
        raise WeightsError(f"The model has no {error.args[0]}: fetch it again.") from None
    config.architectures = ["WhisperForConditionalGeneration"]
    config.dtype = "float32"
    config.save_pretrained(out)
    generation.save_pretrained(out)
    save_file(
        {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()},
        str(out / "model.safetensors"),
        metadata={"format": "pt"},
    )
    _write_processor(tokenizer, ids, config, out)
    try:
        _, report = WhisperForConditionalGeneration.from_pretrained(
            out, local_files_only=True, output_loading_info=True
        )
    except RuntimeError as error:
        raise WeightsError(f"The weights do not fit the Whisper that their shapes describe: {error}") from error
    wrong = {name: sorted(map(str, keys)) for name, keys in report.items() if keys}
    if wrong:
        raise WeightsError(f"The weights do not fit the Whisper that their shapes describe: {wrong}.")


def _config(model: Model, tensors: Tensors, settings: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """`WhisperConfig`, read off the shapes."""
    vocabulary, width = tensors["model.decoder.embed_tokens.weight"].shape
    return {
        "vocab_size": vocabulary,
        "num_mel_bins": tensors["model.encoder.conv1.weight"].shape[1],
        "encoder_layers": _layers(tensors, "encoder"),
        "decoder_layers": _layers(tensors, "decoder"),
        "encoder_attention_heads": int(model.tensors["encoder/num_heads"]),
        "decoder_attention_heads": int(model.tensors["decoder/num_heads"]),
        "encoder_ffn_dim": len(tensors["model.encoder.layers.0.fc1.weight"]),
        "decoder_ffn_dim": len(tensors["model.decoder.layers.0.fc1.weight"]),
        "d_model": width,
        "max_source_positions": len(tensors["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(tensors["model.decoder.embed_positions.weight"]),
        "begin_suppress_tokens": None,
        **_ends(ids),
    }


def _layers(tensors: Tensors, side: str) -> int:
    return len([name for name in tensors if name.startswith(f"model.{side}.layers.") and name.endswith(".fc1.weight")])


def _ends(ids: Mapping[str, int]) -> dict[str, int]:
    end = ids["<|endoftext|>"]
    start = ids["<|startoftranscript|>"]
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _generation(settings: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """`GenerationConfig` as OpenAI's own checkpoints have it."""
    values: dict[str, Any] = {
        **_ends(ids),
        "alignment_heads": settings["alignment_heads"],
        "suppress_tokens": settings["suppress_ids"],
        "begin_suppress_tokens": settings["suppress_ids_begin"],
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "max_initial_timestamp_index": 50,
        "max_length": 448,
        "return_timestamps": False,
        "is_multilingual": multilingual(ids),
    }
    if multilingual(ids):
        languages = range(ids["<|startoftranscript|>"] + 1, ids["<|translate|>"])
        names = {number: name for name, number in ids.items()}
        values["lang_to_id"] = {names[number]: number for number in languages}
        values["task_to_id"] = {name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")}
    return values


def multilingual(ids: Mapping[str, int]) -> bool:
    """English-only checkpoints use GPT-2's own vocabulary, in which the text ends with token 50256."""
    return ids["<|endoftext|>"] != 50256


def _write_processor(tokenizer: dict[str, Any], ids: Mapping[str, int], config: Any, out: Path) -> None:
    """Tokenizer, with the time tokens CTranslate2 leaves out, and feature extractor."""
    from transformers import WhisperFeatureExtractor, WhisperProcessor

    first = ids["<|notimestamps|>"] + 1
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    times = [{"id": first + step, "content": f"<|{step * 0.02:.2f}|>", **plain} for step in range(TIMES)]
    have = set(ids.values())
    tokenizer["added_tokens"] += [token for token in times if token["id"] not in have]
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    about = {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "model_max_length": 1024,
        "errors": "replace",
        "add_prefix_space": False,
        **{name: "<|endoftext|>" for name in ("bos_token", "eos_token", "unk_token", "pad_token")},
        "additional_special_tokens": [name for name in ids],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(about, ensure_ascii=False, indent=2), encoding="utf-8")
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(out)
    WhisperProcessor.from_pretrained(out, local_files_only=True)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} cannot be read ({error}): fetch the model again.") from error
    if not isinstance(value, dict):
        raise WeightsError(f"{path.name} is not what a Whisper model has: fetch the model again.")
    return value

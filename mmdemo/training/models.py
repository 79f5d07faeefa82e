"""What a run starts from: the checkpoint of a key or a folder as `transformers` loads it, and adapters on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo import catalog
from mmdemo.errors import UnknownName, Unsupported
from mmdemo.folders import PREFIX
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.sources import Progress, fetch
from mmdemo.settings import Settings
from mmdemo.specs import ModelSpec

if TYPE_CHECKING:
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.recipes.base import Recipe

RESULT = "model"
"""The folder of a run with what it learned."""
ADAPTER = "adapter"
"""The folder in the result with the adapters alone, as `peft` loads them."""


@dataclass(frozen=True)
class Base:
    """A checkpoint on this machine.

    Attributes:
        folder: its files, as `from_pretrained` takes them.
        parts: folders of the rows that it is assembled from.
        gguf: the name of the file with its weights, if they are packed so.
    """

    spec: ModelSpec
    folder: Path
    parts: dict[str, Path] = field(default_factory=dict)
    gguf: str = ""


def base_of(name: str, settings: Settings, report: Callable[[Progress], None] = lambda progress: None) -> Base:
    """The checkpoint of a catalog key, a folder, or a finished run's folder; fetched and converted if need be.

    Raises:
        UnknownName, WeightsError, Cancelled: as fetching raises them.
    """
    if name not in catalog.MODELS and (place(name) / "config.json").is_file():
        return _of_folder(place(name).resolve(), settings, report)
    spec = catalog.get(name)
    found = alone(spec, settings, report)
    parts = {part: fetch(catalog.get(part), settings, report) for part in spec.parts}
    if spec.backend == "faster_whisper":
        from mmdemo.runtime.convert import ctranslate2_to_transformers

        report(Progress(f"Converting {spec.title}"))
        folder = ctranslate2_to_transformers(found.folder, Path(settings.home) / "cache" / "converted" / spec.key)
        return Base(spec, folder, parts)
    return replace(found, parts=parts)


def alone(spec: ModelSpec, settings: Settings, report: Callable[[Progress], None] = lambda progress: None) -> Base:
    """The files of a row without those of its parts; fetched if need be.

    Raises:
        WeightsError, Cancelled: as fetching raises them.
    """
    folder = fetch(spec, settings, report)
    packed = sorted(folder.glob("*.gguf"))
    return Base(spec, folder, {}, packed[0].name if packed and not any(folder.glob("*.safetensors")) else "")


def place(name: str) -> Path:
    """The folder that a path means: of a run's, that of what it learned."""
    whole = Path(name.removeprefix(PREFIX)).expanduser()
    return whole / RESULT if (whole / RESULT / "config.json").is_file() else whole


def _of_folder(folder: Path, settings: Settings, report: Callable[[Progress], None]) -> Base:
    """The user's own checkpoint. A classifier, which no engine of the studio runs, has no row but can be used here."""
    try:
        spec = catalog.get(f"folder:{folder}")
    except Exception as error:
        if "No engine here runs" not in str(error):
            raise
        spec = ModelSpec(
            f"folder:{folder}", folder.name, "", (), (catalog.Local(str(folder)),), "your own", "", str(folder), 0, 0.0
        )
    parts = {part: fetch(catalog.get(part), settings, report) for part in spec.parts}
    return Base(spec, folder, parts)


def opened(automodel: Any, base: Base, **options: Any) -> Any:
    """A model of an `Auto…` class in float32 on the CPU, in evaluation mode: what is trained keeps full precision.

    Raises:
        WeightsError: the files cannot be opened.
    """
    import torch

    checkpoint.check_format(base.folder, base.spec.title)
    checkpoint.quiet()
    packed: dict[str, Any] = {"use_safetensors": True}
    if base.gguf:  # what is unpacked so counts as packed no more, and can be saved
        from transformers import GgufConfig

        packed = {"gguf_file": base.gguf, "quantization_config": GgufConfig(dequantize=True)}

    def load() -> Any:
        return automodel.from_pretrained(
            base.folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32, **packed, **options
        )

    model = checkpoint.opened(base.spec.title, base.folder, load).eval()
    if base.gguf:  # its weights are whole by now, which `save_pretrained` would not believe
        model.hf_quantizer, model.is_quantized = None, False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
    return model


def packed(automodel: Any, base: Base, settings: Settings, device: str) -> Any:
    """As `opened`, with the linear layers in 4 bits (NF4, arXiv:2305.14314), to put adapters beside them.

    Raises:
        WeightsError: the files cannot be opened.
    """
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    if base.gguf:  # transformers packs only what was whole on the disk
        whole = Path(settings.home) / "cache" / "converted" / f"{base.spec.key}-whole"
        if not (whole / "config.json").is_file():
            partial = whole.with_name(f".{whole.name}.{os.getpid()}.partial")
            opened(automodel, base).save_pretrained(partial)
            shutil.rmtree(whole, ignore_errors=True)
            partial.rename(whole)
        base = Base(base.spec, whole)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    model = opened(automodel, base, quantization_config=config, device_map={"": device})
    for layer in model.modules():  # on a CPU it would repack its weights when it answers, and not learn from then on
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def processor(autoclass: Any, base: Base) -> Any:
    """A tokenizer or processor of the checkpoint.

    Raises:
        WeightsError: the files cannot be opened.
    """
    packed = {"gguf_file": base.gguf} if base.gguf else {}

    def load() -> Any:
        return autoclass.from_pretrained(base.folder, local_files_only=True, trust_remote_code=False, **packed)

    return checkpoint.opened(base.spec.title, base.folder, load)


def adapted(
    model: Any,
    options: TrainOptions,
    targets: Sequence[str] | str,
    task: str | None = None,
    whole: Sequence[str] = (),
) -> Any:
    """`model` with low-rank adapters (arXiv:2106.09685) beside the linear layers `targets`; all else is frozen.

    Args:
        targets: ends of the layers' names, or a regular expression of them.
        task: one of peft's task types; for a classifier its head is trained too.
        whole: names of modules that are trained as they are and saved with the adapters.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    chosen = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=max(0.0, options.dropout),
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type=task,
        modules_to_save=list(whole) or None,
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),  # GPT-2 has its matrices turned
    )
    with warnings.catch_warnings():  # peft asks transformers for a property by its old name
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        return get_peft_model(model, chosen)


def settled(options: TrainOptions, kind: type[Recipe]) -> TrainOptions:
    """The options with the recipe's own model and method where none is named.

    Raises:
        UnknownName: the task cannot be learned by this method.
    """
    method = options.method
    if method == "auto":
        method = kind.usual(place(options.model)) or next(iter(kind.methods))
    if method not in kind.methods:
        raise UnknownName("method of this task", method, kind.methods)
    return replace(options, model=options.model or kind.starter, method=method)


def check_method(method: str, device: str) -> None:
    """Refuse 4-bit training where it does not run: bitsandbytes trains on NVIDIA GPUs and on CPUs.

    Raises:
        Unsupported: saying what it needs.
    """
    if method == "qlora" and (device not in ("cuda", "cpu") or importlib.util.find_spec("bitsandbytes") is None):
        raise Unsupported("QLoRA needs a CPU or an NVIDIA GPU, and the package bitsandbytes: choose lora.")


def merged(model: Any) -> Any:
    """The model with its adapters added to its weights; one without adapters as it is.

    Weights of 4 bits are made whole first: added to 4 bits, what was learned would be rounded away.
    """
    import torch

    if not hasattr(model, "merge_and_unload"):
        return model
    if not getattr(model.get_base_model(), "is_loaded_in_4bit", False):
        return model.merge_and_unload()
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, save_embedding_layers=False)
        whole = model.unload().dequantize(torch.float32)
        del whole.peft_config
        return PeftModel.from_pretrained(whole, folder).merge_and_unload()


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapters alone, if there are some, as `peft` loads them."""
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(folder / ADAPTER, safe_serialization=True, save_embedding_layers=False)


def drop_out(config: Any, share: float) -> None:
    """Set every dropout that a configuration has; a negative share leaves it as it is."""
    if share < 0:
        return
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "dropout", "resid_pdrop",
                 "embd_pdrop", "attention_dropout", "activation_dropout"):  # fmt: skip
        if hasattr(config, name):
            setattr(config, name, share)

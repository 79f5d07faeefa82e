"""A chain from its choices: what it would look like, and its checkpoint, written whole, to be learned and used."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmdemo import catalog
from mmdemo.chains import DECODERS, FRESH, Compose, name_of
from mmdemo.errors import InputError, StudioError
from mmdemo.fusion import check, compose
from mmdemo.fusion.config import ENCODER_FIELDS, FusionConfig, FusionLstmConfig, FusionPatchesConfig
from mmdemo.fusion.shape import Chain
from mmdemo.fusion.shape import chain as chain_of
from mmdemo.runtime.backends.checkpoint import quiet
from mmdemo.runtime.sources import Progress, cached
from mmdemo.settings import Settings
from mmdemo.training import models, towers

Report = Callable[[Progress], None]
CHANNELS = 64
"""Channels of a head of the fusion's attention, about."""
SPARE = 192
"""Positions of a fresh Transformer beside the modal tokens: a question and an answer."""
GENERATION = {"num_beams": 1, "no_repeat_ngram_size": 3, "max_new_tokens": 60}
"""How an answer is searched for at first, as `generation_config.json` keeps it."""
OPEN = 1.0
"""Where the gates of a fresh language model begin: tanh 1, about three quarters."""
READER = "reader"
"""The folder in the chain with the tokenizer of its text encoder."""
BANDS, FRAMES = 80, 200
"""Of the spectrogram that a fresh encoder of sound reads: two seconds."""


def chain(options: Compose, settings: Settings, report: Report = lambda progress: None) -> Chain:
    """What the chain looks like, or why there is no such chain. Nothing is fetched and no weights are read."""
    away = [title for name in _named(options) if (title := _absent(name, settings))]
    if away:
        return Chain((), tuple(str(_away(title)) for title in away))
    if options.projector in towers.ALONE:
        return towers.chain(options, settings, report)
    try:
        found, folders = _configurations(options, settings, report)
        config = configured(options, *found)
    except StudioError as error:
        return Chain((), (str(error),))
    frozen = {role for role in folders if role != "language"}
    if options.method != "full":
        frozen.add("language_model")
    return chain_of(config, frozen=frozen, lora=options.lora_rank if options.method == "lora" else 0)


def write(options: Compose, folder: Path, settings: Settings, report: Report = lambda progress: None) -> Path:
    """Compose the chain and write it into `folder`, which is made: config, all weights in float32, tokenizer, search.

    Raises:
        InputError: the parts do not go together, or the folder holds something.
        WeightsError, UnknownName, Cancelled: a part cannot be had, or read.
    """
    quiet()
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: choose another folder.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (towers.write if options.projector in towers.ALONE else _write)(options, partial, settings, report)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(options: Compose, folder: Path, settings: Settings, report: Report) -> None:
    """All of a chain that writes, into a folder that is made."""
    from transformers import AutoTokenizer

    from mmdemo.fusion.checkpoint import keep

    (parts, language), folders = _configurations(options, settings, report)
    config = configured(options, parts, language)  # so that the beginnings of a fresh language model are right
    given: dict[str, Any] = {**parts, **{role: place for role, place in folders.items() if role != "language"}}
    report(Progress("Composing"))
    model = compose.compose(folders.get("language", config.text_config), given, **choices(options, config.text_config))
    model.config.text_config = _ended(model.config.text_config, config.text_config)
    keep(model, folder)
    tokenizer_of(options, settings, report).save_pretrained(folder)
    if options.text:
        reader = models.processor(AutoTokenizer, models.base_of(options.text, settings, report))
        reader.save_pretrained(folder / READER)
    text = config.text_config
    ends = {name: getattr(text, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    search = json.dumps({**ends, **GENERATION}, indent=1)
    (folder / "generation_config.json").write_text(search + "\n", encoding="utf-8")


def place_for(options: Compose, settings: Settings, name: str = "") -> Path:
    """A folder among the studio's own models that is not taken.

    Args:
        name: what it is called; empty: after its parts.

    Raises:
        InputError: no folder can be called so.
    """
    if name and not re.fullmatch(r"\w[\w .-]{0,62}\w|\w", name):
        raise InputError(
            f"“{name}” cannot be the name of a model: use up to 64 letters, digits, spaces, dots and hyphens."
        )
    name = name or name_of(options)
    numbered = (settings.chains_folder / f"{name}-{number}" for number in range(2, 10_000))
    return next(place for place in (settings.chains_folder / name, *numbered) if not place.exists())


def configured(options: Compose, parts: Mapping[str, Any], language: Any) -> FusionConfig:
    """The configuration of the chain of these parts' configurations.

    Args:
        parts: by modality.
        language: of the language model, which a fresh one's room for positions is written into.
    """
    fields = {ENCODER_FIELDS[modality]: about.to_dict() for modality, about in parts.items()}
    config = FusionConfig(text_config=language.to_dict(), **fields, **choices(options, language))
    if options.language == "transformer" and not check.problems(config):
        language.n_positions = config.text_config.n_positions = check.prefix(config) + SPARE
    return config


def choices(options: Compose, language: Any) -> dict[str, Any]:
    """The other fields of `FusionConfig` that the options decide."""
    names = ("projector", "fusion", "frames", "queries", "fusion_layers", "audio_pool", "modality_dropout")
    hidden = int(language.hidden_size)
    heads = next(count for count in range(max(1, hidden // CHANNELS), 0, -1) if hidden % count == 0)
    return {
        **{name: getattr(options, name) for name in names},
        "fusion_heads": options.fusion_heads or heads,
        "gate_every": min(options.gate_every, int(language.num_hidden_layers)),
        "gate_start": OPEN if options.language in DECODERS else 0.0,
        "parts": dict(options.chosen),
        "tuning": options.method,
        "fresh": True,
    }


def tokenizer_of(options: Compose, settings: Settings, report: Report = lambda progress: None) -> Any:
    """The tokenizer of the chain's language model, with an end and something to pad with."""
    from transformers import AutoTokenizer

    name = options.tokenizer if options.language in DECODERS else options.language
    spec = catalog.MODELS.get(name)  # of a row its own folder alone, not what it is assembled from
    place = Path(name).expanduser()
    if spec is None and (place / "tokenizer.json").is_file():
        found = AutoTokenizer.from_pretrained(place, local_files_only=True)
    else:
        base = models.base_of(name, settings, report) if spec is None else models.alone(spec, settings, report)
        found = models.processor(AutoTokenizer, base)
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    return found


def _configurations(
    options: Compose, settings: Settings, report: Report
) -> tuple[tuple[dict[str, Any], Any], dict[str, Path]]:
    """Of each encoder, and of the language model; and the folders of the parts that have weights."""
    named: dict[str, str] = {role: name for role, name in options.chosen.items() if name not in (FRESH, *DECODERS)}
    folders = {role: models.base_of(name, settings, report).folder for role, name in named.items()}
    parts: dict[str, Any] = {
        role: compose.encoder_config(folders[role]) if role in folders else _patches(role)
        for role in options.chosen
        if role != "language"
    }
    if not options.language:
        raise InputError("Nothing would write the answer: choose a language model.")
    if "language" in folders:
        language = _language(folders["language"])
        language = _ended(language, language)
    else:
        language = _fresh(options, tokenizer_of(options, settings, report))
    return (parts, language), folders


@cache
def _language(folder: Path) -> Any:
    return compose.decoder_config(folder)


def _ended(config: Any, source: Any) -> Any:
    """The configuration with a token to begin, one to end and one to pad with, as `source` has them."""
    end = source.eos_token_id[0] if isinstance(source.eos_token_id, list) else source.eos_token_id
    config.eos_token_id = end
    config.bos_token_id = end if source.bos_token_id is None else source.bos_token_id
    config.pad_token_id = end if source.pad_token_id is None else source.pad_token_id
    return config


def _patches(role: str) -> FusionPatchesConfig:
    if role == "vision":
        return FusionPatchesConfig()
    if role == "audio":
        return FusionPatchesConfig(channels=1, height=BANDS, width=FRAMES, patch_height=BANDS, patch_width=10)
    raise InputError("A text encoder is not learned from patches: choose a key or a folder.")


def _fresh(options: Compose, tokenizer: Any) -> Any:
    """The configuration of a language model that is learned from nothing."""
    from transformers import GPT2Config

    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    if ends["bos_token_id"] is None:
        ends["bos_token_id"] = ends["eos_token_id"]
    if options.language == "lstm":
        scale = 1 / FusionLstmConfig().initializer_range  # to deviation 1, that of the modal tokens
        return FusionLstmConfig(
            vocab_size=len(tokenizer), hidden_size=options.width, num_hidden_layers=options.layers,
            embedding_scale=scale, residual=True, **ends,
        )  # fmt: skip
    heads = next(count for count in range(max(1, options.width // 64), 0, -1) if options.width % count == 0)
    return GPT2Config(
        vocab_size=len(tokenizer), n_embd=options.width, n_layer=options.layers, n_head=heads, n_positions=8192, **ends
    )


def _named(options: Compose) -> list[str]:
    """Keys and folders of what has weights or a tokenizer."""
    own = [name for name in options.chosen.values() if name not in (FRESH, *DECODERS)]
    return own + [options.tokenizer] * (options.chosen.get("language") in DECODERS)


def _away(title: str) -> InputError:
    return InputError(f"{title} is not on this machine yet: fetch it to see the whole chain.")


def _absent(name: str, settings: Settings) -> str:
    """The title of a row that is not in the cache; empty if it is there, or no row."""
    spec = catalog.MODELS.get(name)
    return spec.title if spec and cached(spec, settings) is None else ""

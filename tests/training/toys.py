"""Checkpoints small enough to train in a test, and rows that can be learned in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from mmdemo import torchvision_ops
from mmdemo.training import config
from mmdemo.training.events import EVENTS_FILE

torchvision_ops.prepare()

WORDS = ("anna", "berlin", "likes", "hates", "the", "sea", "red", "blue", "runs", "to", "paris", "tom")


def bert(folder: Path) -> Path:
    """A two-layer BERT with a tokenizer of whole words and letters, saved as a sentence encoder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *WORDS,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{x}" for x in "abcdefghijklmnopqrstuvwxyz"),
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def sentences(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Sentences and whether somebody likes or hates something: the label is a word of the sentence."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = ("likes", "hates")[number % 2]
        rest = " ".join(draw.choices(WORDS[4:], k=draw.randint(1, 7)))
        rows.append({"text": f"{draw.choice(WORDS[:2])} {label} {rest} {number}", "label": label})
    return rows


def table(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as a JSONL file."""
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def a_run(folder: Path, **values: Any) -> Path:
    """A run's folder with its file."""
    from mmdemo.options import build

    config.write(build(config.TrainOptions, {"device": "cpu", **values}), folder)
    return folder


def events_of(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    """What a run has told so far."""
    lines = (folder / EVENTS_FILE).read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if not kind or event["kind"] == kind]


def whisper(folder: Path) -> Path:
    """A one-layer Whisper for English and Chinese, with a tokenizer of bytes and all of Whisper's special tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>",
               "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([f"<|{step * 0.02:.2f}|>" for step in range(1501)])
    ids = {name: tokenizer.token_to_id(name) for name in special}
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor"}
    about |= {name: "<|endoftext|>" for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    ends = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(), num_mel_bins=80, encoder_layers=1, decoder_layers=1, d_model=32,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64,
            max_source_positions=1500, max_target_positions=448, begin_suppress_tokens=None, **ends,
        )
    )  # fmt: skip
    model.generation_config = GenerationConfig(
        **ends, no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        is_multilingual=True, lang_to_id={name: ids[name] for name in ("<|en|>", "<|zh|>")},
        task_to_id={name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")}, max_length=448,
        return_timestamps=False, alignment_heads=[[0, 0]],
    )  # fmt: skip
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder


def describer(folder: Path, patch: Any) -> Path:
    """A fusion checkpoint in `folder/describer`, its eye in `folder/eye`, which the catalog names from now on."""
    import dataclasses

    import torch
    from safetensors.torch import save_file

    from mmdemo import catalog
    from mmdemo.fusion import checkpoint
    from mmdemo.fusion.config import FusionConfig
    from mmdemo.fusion.model import FusionModel
    from mmdemo.fusion.processing import train_tokenizer
    from tests.fusion.toys import toy_config

    tokenizer = train_tokenizer(["something red", "something blue"], 300)
    values = toy_config(fusion="cross-attention").to_dict()
    values["text_config"] |= {
        "vocab_size": len(tokenizer), "n_positions": 64, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    model = FusionModel(FusionConfig(**values)).eval()
    checkpoint.save(model, folder / "describer")
    tokenizer.save_pretrained(folder / "describer")
    eye = folder / "eye"
    eye.mkdir()
    save_file(
        {name: one.contiguous() for name, one in model.vision.network.state_dict().items()}, eye / "encoder.safetensors"
    )
    (eye / "config.json").write_text("{}")
    row = dataclasses.replace(catalog.get("efficientnet-lite2"), files=(), sources=(catalog.Local(str(eye)),))
    patch.setitem(catalog.MODELS, "efficientnet-lite2", row)
    return folder / "describer"


def gpt(folder: Path) -> Path:
    """A two-layer Llama with a tokenizer of bytes and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "qx"]
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, [("q", "x")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    wrapped.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(wrapped), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, eos_token_id=wrapped.eos_token_id,
            pad_token_id=wrapped.pad_token_id, bos_token_id=None, tie_word_embeddings=True,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def towers(folder: Path) -> Path:
    """Two towers that know nothing yet: patches of 16 × 16 and the two-layer BERT."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from mmdemo.fusion.aligned import Aligned
    from mmdemo.fusion.config import FusionPatchesConfig, SiameseConfig
    from mmdemo.fusion.siamese import SiameseModel

    reader = bert(folder.with_name("reader"))
    torch.manual_seed(0)
    media = FusionPatchesConfig(height=32, width=32, hidden_size=24)
    config = SiameseConfig(
        media_config=media.to_dict(), text_config=AutoConfig.from_pretrained(reader).to_dict(), size=16
    )
    model = SiameseModel(config)
    model.text.network = AutoModel.from_pretrained(reader)
    Aligned(model, AutoTokenizer.from_pretrained(reader)).save(folder)
    return folder

"""Language models: GGUF or safetensors checkpoints through `transformers`.

A GGUF file is unpacked once into a safetensors folder beside it. `transformers` can keep the packed blocks, but
unpacks them at every token on a CPU, and reading the file takes several seconds at every start.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from mmdemo.runtime.backends import checkpoint, generation, quantized
from mmdemo.runtime.backends.adapters import Adapters
from mmdemo.runtime.backends.prefixes import Prefixes, kept, with_prompts
from mmdemo.runtime.backends.talking import PENALTY, no_template, too_long
from mmdemo.runtime.base import Load, Talk
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.sources.store import SPARE

UNPACKED = "unpacked"
"""Folder, beside the GGUF file, with the same model as safetensors."""

NOTE = "unpacked_from.json"


class CausalLMBackend:
    """A `Talker`: a decoder-only language model with a chat template."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        self._model: Any
        self._tokenizer: Any
        self.folder = folder = request.folders[self.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        checkpoint.quiet()
        request.go_on()
        packed = packed_in(folder)
        if packed and not is_unpacked(packed):
            self._model, self._tokenizer = checkpoint.opened(
                self.spec.title, folder, lambda: self._unpack(packed, request)
            )
            if not is_unpacked(packed):
                self._adapters = Adapters(self.spec, self._model)
                self._prefixes = Prefixes(self._model, kept(self.estimate(request)))
                return  # it could not be kept: what is in memory is used
            self._model = None
        if packed:
            folder = packed.parent / UNPACKED
        self._tokenizer = checkpoint.opened(self.spec.title, folder, lambda: tokenizer_of(folder, request.trusted))
        request.go_on()
        from transformers import AutoModelForCausalLM

        self._model = checkpoint.open_model(AutoModelForCausalLM, request, folder=folder)
        self._adapters = Adapters(self.spec, self._model)
        self._prefixes = Prefixes(self._model, kept(self.estimate(request)))

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory."""
        packed = packed_in(request.folders[request.spec.key])
        if packed and is_unpacked(packed):
            return with_prompts(checkpoint.estimate(request, "AutoModelForCausalLM", folder=packed.parent / UNPACKED))
        if packed:  # it has 4 to 8 bits a weight: unpacked to 16, and for a moment 32, at most eight times as much
            return Estimate((Part("weights", 0, 8 * packed.stat().st_size),))
        return with_prompts(checkpoint.estimate(request, "AutoModelForCausalLM"))

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come, greedily; closing the iterator stops the model at its next token.

        What the messages have in common with those before, from the first word on, is not read again.

        Raises:
            Unsupported: if the checkpoint has no chat template, or the messages leave no room for an answer.
        """
        with closing(self.converse([Talk(messages, max_tokens)])) as running:
            for _, piece in running:
                yield piece

    def converse(self, talks: Sequence[Talk]) -> Generator[tuple[int, str], None, None]:
        """As `talk`, for several conversations together where the tokenizer can pad."""
        if not self._tokenizer.chat_template:
            raise no_template(self.spec)
        self.adapt(talks[0].adapter if talks else "")
        at_once = len(talks) if self._tokenizer.pad_token_id is not None else 1
        for start in range(0, len(talks), at_once):
            with closing(self._answers(talks[start : start + at_once])) as running:
                for row, piece in running:
                    yield start + row, piece

    def _answers(self, talks: Sequence[Talk]) -> Generator[tuple[int, str], None, None]:
        self._tokenizer.padding_side = "left"  # generation goes on at the right end of every row
        inputs = self._tokenizer.apply_chat_template(
            [list(talk.messages) for talk in talks],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
            padding=len(talks) > 1,
        )
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        limits = []
        for talk, length in zip(talks, lengths, strict=True):
            room = self._model.config.max_position_embeddings - length
            if room < 1:
                raise too_long(self.spec, room)
            limits.append(min(talk.max_tokens, room))
        given = dict(inputs.to(self._model.device))
        adapter = talks[0].adapter.encode()
        begun = self._prefixes.begin(given, adapter) if len(talks) == 1 else None
        pieces = generation.parts(
            self._model,
            self._tokenizer,
            begun or given,
            len(talks),
            threads=self._threads,
            limits=limits,
            left=[talk.left for talk in talks],
            repetition_penalty=1.0,  # whatever the checkpoint says: this one does not count padding
            logits_processor=[generation.penalty(PENALTY, given["attention_mask"])],
            pad_token_id=generation.padding(self._model, self._tokenizer),
        )
        yield from self._prefixes.keeping(pieces, begun, adapter)

    def adapt(self, folder: str) -> None:
        """See `base.Adaptable`."""
        self._adapters.use(folder)

    def close(self) -> None:
        """Free the memory, and what is kept of conversations."""
        self._prefixes.close()
        self._adapters.close()
        self._model = self._tokenizer = None
        checkpoint.give_back(self.device)

    def _unpack(self, packed: Path, request: Load) -> tuple[Any, Any]:
        """Model and tokenizer of a GGUF file. They are kept for the next start, if the folder can be written.

        Both starts answer alike: the first one rounds to bfloat16 as the kept file does.
        """
        from transformers import AutoModelForCausalLM, GgufConfig

        tokenizer = tokenizer_of(packed.parent, gguf_file=packed.name)
        request.go_on()
        with checkpoint.stoppable(request):
            model = AutoModelForCausalLM.from_pretrained(
                packed.parent,
                gguf_file=packed.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                local_files_only=True,
                trust_remote_code=False,
            )
        keep(packed, model, tokenizer)
        dtype = quantized.dtype_of(request.quantization, self.device)
        return quantized.finished(model.to(self.device, dtype), request.quantization, self.device).eval(), tokenizer


def tokenizer_of(folder: Path, trusted: bool = False, **options: str) -> Any:
    """The tokenizer of a checkpoint."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted, **options)


def packed_in(folder: Path) -> Path | None:
    """The GGUF file to load, unless the folder itself has safetensors."""
    return None if any(folder.glob("*.safetensors")) else checkpoint.gguf_in(folder)


def is_unpacked(packed: Path) -> bool:
    """Whether the folder beside a GGUF file was made from it."""
    note = packed.parent / UNPACKED / NOTE
    return note.is_file() and note.read_text() == identity(packed)


def identity(packed: Path) -> str:
    """What tells a GGUF file from another one that takes its place."""
    return json.dumps({"file": packed.name, "bytes": packed.stat().st_size, "changed": packed.stat().st_mtime_ns})


def keep(packed: Path, model: Any, tokenizer: Any) -> None:
    """Save an unpacked model beside its GGUF file, complete or not at all; not on a full or read-only disk."""
    folder = packed.parent / UNPACKED
    size = sum(parameter.nbytes for parameter in model.parameters())
    if not os.access(packed.parent, os.W_OK) or shutil.disk_usage(packed.parent).free < 2 * size + SPARE:
        return
    with tempfile.TemporaryDirectory(prefix=f".{UNPACKED}-", dir=packed.parent) as name:
        made = Path(name) / UNPACKED
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        (made / NOTE).write_text(identity(packed))
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)

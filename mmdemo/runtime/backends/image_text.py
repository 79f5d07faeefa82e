"""Vision-language models of `transformers`: SmolVLM, Idefics3, Qwen-VL and others with a chat template, and captioners.

The prompt comes from the checkpoint's own chat template. A family without one is asked as its row in `families.py`
says (Florence-2, PaliGemma); a captioner (BLIP, ViT-GPT2) begins its sentence unasked.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from mmdemo import families
from mmdemo.errors import InputError, UnknownName, Unsupported
from mmdemo.runtime.backends import checkpoint, fusion_why, generation, image_text_why
from mmdemo.runtime.backends.adapters import Adapters
from mmdemo.runtime.backends.prefixes import Prefixes, kept, with_prompts
from mmdemo.runtime.backends.prompts import PROMPTS, shrunk
from mmdemo.runtime.base import Ask, Load, Seen
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.explaining import Explained, Given

PIXELS = {"cuda": 1_600_000, "mps": 1_000_000, "cpu": 640_000}
"""A larger picture is shrunk to so many pixels first: some of these models spend a token on every 32 × 32 of them."""


class ImageTextBackend:
    """A `Describer` that also answers questions, where the row says so."""

    auto = "AutoModelForImageTextToText"
    """The class of `transformers` that opens its checkpoints."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        folder = request.folders[self.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        request.go_on()

        checkpoint.quiet()
        self._processor: Any = checkpoint.opened(self.spec.title, folder, lambda: processor_of(folder, request.trusted))
        self._tokenizer: Any = self._processor.tokenizer
        self._tokenizer.padding_side = "left"  # generation goes on at the right end of every row
        request.go_on()
        import transformers

        config = checkpoint.opened(self.spec.title, folder, lambda: checkpoint.config_of(folder, request.trusted))
        self._model: Any = checkpoint.open_model(getattr(transformers, self.auto), request, config=config)
        self._family = families.of(config.model_type, type(self._model).__name__)
        self._adapters = Adapters(self.spec, self._model)
        self._prefixes = Prefixes(self._model, kept(self.estimate(request)))
        self._options: dict[str, Any] = {}
        if self._processor.chat_template:  # a captioner's own `generate` sets its padding
            self._options["pad_token_id"] = generation.padding(self._model, self._tokenizer)
        self._most = sys.maxsize if self._processor.chat_template else positions(config)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration, and what is kept of the prompts that were read last."""
        return with_prompts(checkpoint.estimate(request, ImageTextBackend.auto))

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come, for all pictures together where the tokenizer can pad, else one after the other.

        Closing the iterator stops the model at its next token. A picture that alone was looked at lately is not read
        again for another style or question.

        Raises:
            UnknownName: for a style that the row does not have.
            Unsupported: for a question to a model that only describes.
        """
        return self.answer([Ask(image, style, question, max_words) for image in images])

    def answer(self, asks: Sequence[Ask]) -> Iterator[Seen]:
        """As `describe`, each picture with its own style or question and length."""
        for ask in asks:
            if ask.question and not self.spec.answers:
                raise Unsupported(
                    f"{self.spec.title} describes but does not answer: choose a model that answers questions."
                )
            if not ask.question and ask.style not in self.spec.styles:
                raise UnknownName("style", ask.style, self.spec.styles)
        self.adapt(asks[0].adapter if asks else "")
        at_once = len(asks) if self._tokenizer.pad_token_id is not None else 1
        for start in range(0, len(asks), at_once):
            part = asks[start : start + at_once]
            with closing(self._texts(part)) as running:
                for row, text, done in running:
                    yield Seen(start + row, text.strip() if done else text.lstrip(), done=done)

    def _texts(self, asks: Sequence[Ask]) -> Generator[tuple[int, str, bool], None, None]:
        """The texts of pictures that are looked at together; see `generation.texts`."""
        images = [shrunk(ask.image, PIXELS[self.device]) for ask in asks]
        inputs = self._inputs(images, [self._prompt(ask.style, ask.question) for ask in asks])
        seen = hashlib.sha256(f"{asks[0].adapter} {images[0].size}".encode() + images[0].tobytes()).digest()
        begun = None
        token = getattr(self._model.config, "image_token_id", None)
        if len(asks) == 1 and self._processor.chat_template and token is not None:
            begun = self._prefixes.begin(inputs, seen, token)
        texts = generation.texts(
            self._model,
            self._tokenizer,
            begun or inputs,
            len(asks),
            threads=self._threads,
            limits=[min(generation.tokens_for(ask.max_words), self._most) for ask in asks],
            left=[ask.left for ask in asks],
            **self._options,
        )
        yield from self._prefixes.keeping(texts, begun, seen)

    def needs(self) -> Mapping[str, int]:
        """One picture."""
        return {"vision": 1}

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """See `runtime.explaining.Explainer`."""
        if not all(one.frames for one in given):
            raise InputError("There is no picture to look at: give one.")
        checkpoint.use_threads(self._threads)
        for one in given:
            ask = Ask(one.frames[0], one.style, one.text, adapter=one.adapter)
            said = answer or next(seen.text for seen in self.answer([ask]) if seen.done)
            self.adapt(one.adapter)
            image = shrunk(one.frames[0], PIXELS[self.device])
            prompt = self._prompt(one.style, one.text)
            inputs = self._inputs([image], [prompt])
            reasons, tokens = image_text_why.explained(self._model, self._tokenizer, inputs, said, image)
            sights = image_text_why.sights(self._processor, inputs, image, tokens)
            read = fusion_why.tokens(self._tokenizer.backend_tokenizer, prompt)
            yield Explained(said, reasons, replace(sights, read=tuple(read)))

    def adapt(self, folder: str) -> None:
        """See `base.Adaptable`."""
        self._adapters.use(folder)

    def close(self) -> None:
        """Free the memory, and what is kept of pictures."""
        self._prefixes.close()
        self._adapters.close()
        self._model = self._processor = self._tokenizer = None
        checkpoint.give_back(self.device)

    def _prompt(self, style: str, question: str) -> str:
        """What the model is told beside the picture; empty for one that is told nothing."""
        if self._processor.chat_template:
            return question or PROMPTS[style]
        if self._family is None:
            return ""
        return self._family.question.format(question=question) if question else self._family.prompts.get(style, "")

    def _inputs(self, images: list[Image.Image], prompts: list[str]) -> dict[str, Any]:
        """What `generate` takes: one row for each picture, padded at the left."""
        if self._processor.chat_template:
            chats = [
                [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}]
                for image, prompt in zip(images, prompts, strict=True)
            ]
            return self._chatted(chats)
        if any(prompts):
            inputs = self._processor(images=images, text=prompts, padding=len(images) > 1, return_tensors="pt")
            inputs.pop("labels", None)  # PaliGemma's, to train on
        else:
            inputs = self._processor(images=images, return_tensors="pt")
        return self._placed(inputs)

    def _chatted(self, chats: list[Any], **options: Any) -> dict[str, Any]:
        """What `generate` takes: one row for each chat, padded at the left.

        Args:
            options: further arguments of the processor.
        """
        return self._placed(
            self._processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": len(chats) > 1, **options},
            )
        )

    def _placed(self, inputs: Any) -> dict[str, Any]:
        """A processor's tensors where the model is; only floats change their type."""
        return dict(inputs.to(self._model.device, dtype=self._model.dtype))


@dataclass(frozen=True)
class Pair:
    """An image processor and a tokenizer, for a checkpoint that names no class for both."""

    pictures: Any
    tokenizer: Any
    chat_template: str = ""

    def __call__(self, *, images: list[Image.Image], return_tensors: str) -> Any:
        """The pictures' tensors."""
        return self.pictures(images=images, return_tensors=return_tensors)


def processor_of(folder: Path, trusted: bool = False) -> Any:
    """What a checkpoint's pictures and words are prepared with: its `tokenizer`, its `chat_template`, and a call."""
    from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

    safely = {"local_files_only": True, "trust_remote_code": trusted}
    found = AutoProcessor.from_pretrained(folder, **safely)
    if hasattr(found, "tokenizer"):
        return found
    return Pair(AutoImageProcessor.from_pretrained(folder, **safely), AutoTokenizer.from_pretrained(folder, **safely))


def positions(config: Any) -> int:
    """The most tokens that a decoder with learned positions can write after the two that a captioner begins with."""
    return int(getattr(config.get_text_config(decoder=True), "max_position_embeddings", sys.maxsize)) - 2

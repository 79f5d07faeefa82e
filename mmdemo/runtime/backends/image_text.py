"""Vision-language models of `transformers`: SmolVLM, Idefics3, Qwen-VL and others with a chat template, and captioners.

The prompt comes from the checkpoint's own chat template. A captioner without one (BLIP) begins its sentence unasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from PIL import Image

from mmdemo.errors import UnknownName, Unsupported
from mmdemo.runtime.backends import checkpoint, generation
from mmdemo.runtime.backends.asking import PROMPTS, shrunk
from mmdemo.runtime.base import Load, Seen
from mmdemo.runtime.estimates import Estimate

PIXELS = {"cuda": 1_600_000, "mps": 1_000_000, "cpu": 640_000}
"""A larger picture is shrunk to so many pixels first: some of these models spend a token on every 32 × 32 of them."""


class ImageTextBackend:
    """A `Describer` that also answers questions, where the row says so."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        folder = request.folders[self.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        request.go_on()

        def processor() -> Any:
            from transformers import AutoProcessor

            return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=request.trusted)

        self._processor: Any = checkpoint.opened(self.spec.title, folder, processor)
        self._tokenizer: Any = self._processor.tokenizer
        self._tokenizer.padding_side = "left"  # generation goes on at the right end of every row
        request.go_on()
        from transformers import AutoModelForImageTextToText

        self._model: Any = checkpoint.open_model(AutoModelForImageTextToText, request)
        self._options: dict[str, Any] = {}
        if self._processor.chat_template:  # a captioner's own `generate` sets its padding
            self._options["pad_token_id"] = generation.padding(self._model, self._tokenizer)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration."""
        return checkpoint.estimate(request, "AutoModelForImageTextToText")

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come, for all pictures together where the tokenizer can pad, else one after the other.

        Closing the iterator stops the model at its next token.

        Raises:
            UnknownName: for a style that the row does not have.
            Unsupported: for a question to a model that only describes.
        """
        if question and not self.spec.answers:
            raise Unsupported(
                f"{self.spec.title} describes but does not answer: choose a model that answers questions."
            )
        if not question and style not in self.spec.styles:
            raise UnknownName("style", style, self.spec.styles)
        small = [shrunk(image, PIXELS[self.device]) for image in images]
        at_once = len(small) if self._tokenizer.pad_token_id is not None else 1
        for start in range(0, len(small), at_once):
            part = small[start : start + at_once]
            running = generation.texts(
                self._model,
                self._tokenizer,
                self._inputs(part, question or PROMPTS[style]),
                len(part),
                threads=self._threads,
                max_new_tokens=generation.tokens_for(max_words),
                **self._options,
            )
            with closing(running):
                for row, text, done in running:
                    yield Seen(start + row, text.strip() if done else text.lstrip(), done=done)

    def close(self) -> None:
        """Free the memory."""
        self._model = self._processor = self._tokenizer = None
        checkpoint.give_back(self.device)

    def _inputs(self, images: list[Image.Image], prompt: str) -> dict[str, Any]:
        """What `generate` takes: one row for each picture, padded at the left."""
        if self._processor.chat_template:
            chats = [
                [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}]
                for image in images
            ]
            inputs = self._processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": len(images) > 1},
            )
        else:
            inputs = self._processor(images=images, return_tensors="pt")
        return dict(inputs.to(self._model.device, dtype=self._model.dtype))  # only floats change their type

"""Vision-language models of `transformers`: SmolVLM, Idefics3, Qwen-VL and others with a chat template, and captioners.

The prompt comes from the checkpoint's own chat template. A captioner without one (BLIP) begins its sentence unasked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from PIL import Image

from mmdemo.errors import UnknownName, Unsupported
from mmdemo.runtime.backends import checkpoint, generation
from mmdemo.runtime.backends.adapters import Adapters
from mmdemo.runtime.backends.prefixes import Prefixes, kept, with_prompts
from mmdemo.runtime.base import Ask, Load, Seen
from mmdemo.runtime.estimates import Estimate

PROMPTS = {
    "sentence": "Describe this picture in one short sentence.",
    "alt": "Write alternative text for this picture, for someone who cannot see it: what matters, "
    'in at most 125 characters, without "picture of".',
    "tags": "List what is in this picture as up to ten short tags in lower case, separated by commas. Only the tags.",
    "paragraph": "Describe this picture in detail, in one paragraph.",
}
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

            return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

        self._processor: Any = checkpoint.opened(self.spec.title, folder, processor)
        self._tokenizer: Any = self._processor.tokenizer
        self._tokenizer.padding_side = "left"  # generation goes on at the right end of every row
        request.go_on()
        from transformers import AutoModelForImageTextToText

        self._model: Any = checkpoint.open_model(AutoModelForImageTextToText, request)
        self._adapters = Adapters(self.spec, self._model)
        self._prefixes = Prefixes(self._model, kept(self.estimate(request)))
        self._options: dict[str, Any] = {}
        if self._processor.chat_template:  # a captioner's own `generate` sets its padding
            self._options["pad_token_id"] = generation.padding(self._model, self._tokenizer)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration, and what is kept of the prompts that were read last."""
        return with_prompts(checkpoint.estimate(request, "AutoModelForImageTextToText"))

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
        inputs = self._inputs(images, [ask.question or PROMPTS[ask.style] for ask in asks])
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
            limits=[generation.tokens_for(ask.max_words) for ask in asks],
            left=[ask.left for ask in asks],
            **self._options,
        )
        yield from self._prefixes.keeping(texts, begun, seen)

    def adapt(self, folder: str) -> None:
        """See `base.Adaptable`."""
        self._adapters.use(folder)

    def close(self) -> None:
        """Free the memory, and what is kept of pictures."""
        self._prefixes.close()
        self._adapters.close()
        self._model = self._processor = self._tokenizer = None
        checkpoint.give_back(self.device)

    def _inputs(self, images: list[Image.Image], prompts: list[str]) -> dict[str, Any]:
        """What `generate` takes: one row for each picture, padded at the left."""
        if self._processor.chat_template:
            chats = [
                [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}]
                for image, prompt in zip(images, prompts, strict=True)
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


def shrunk(image: Image.Image, pixels: int) -> Image.Image:
    """The picture with at most so many pixels, in its proportions."""
    scale = (pixels / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)

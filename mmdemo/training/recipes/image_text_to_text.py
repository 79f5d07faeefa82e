"""Vision-language models learn to caption, to answer and to chat about pictures. Only answers count for the loss."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.errors import Unsupported
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.backends.image_text import PIXELS, processor_of
from mmdemo.runtime.backends.prompts import PROMPTS, shrunk
from mmdemo.training import metrics, models
from mmdemo.training.recipes.base import IGNORED, Batch, Example, Given, Recipe, cross_entropy
from mmdemo.training.recipes.seeing import picture
from mmdemo.training.recipes.text_generation import TARGETS

PICTURE = "<image>"
EYE = re.compile(r"(^|\.)(vision\w*|visual|image_encoder)(\.|$)")
"""Names of modules that see, in the families there are; what stands between is named by `BETWEEN`."""
BETWEEN = re.compile(r"(^|\.)(connector|multi_modal_projector|merger|\w*projector|\w*projection)(\.|$)")
LARGEST = 1024
"""Of a picture's longer side, about half: it is opened so, and shrunk as when the model describes."""
ANSWER = 96
"""Tokens of an answer at most, when it is measured."""
AT_ONCE = 4


class ImageTextToText(Recipe):
    """Any `AutoModelForImageTextToText` with a chat template: adapters in its language model; its eye stays as it is.

    `full` trains the language model and what stands before it (the eye too, if it is not to be frozen), `head` only
    what stands between the two.
    """

    starter = "smolvlm2-256m"
    metric = "rouge_l"
    methods = {"lora": 3e-4, "qlora": 3e-4, "full": 2e-5, "head": 1e-3}  # noqa: RUF012  # read only
    step_rows = 8
    epochs = 3

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoModelForImageTextToText

        title = given.base.spec.title
        self.processor: Any = checkpoint.opened(title, given.base.folder, lambda: processor_of(given.base.folder))
        if not self.processor.chat_template:
            raise Unsupported(
                f"{title} has no chat template, so it cannot be taught to answer: choose a vision-language model that "
                "has one."
            )
        method = self.options.method if given.learning else ""
        if method == "qlora":
            model = models.packed(AutoModelForImageTextToText, given.base, given.settings, given.device)
        else:
            model = models.opened(AutoModelForImageTextToText, given.base).to(given.device)
        if method in ("lora", "qlora"):
            model = models.adapted(model, self.options, spoken(model), "CAUSAL_LM")
        elif method:
            self._freeze(model, method)
        self.model = model.eval()

    def _freeze(self, model: Any, method: str) -> None:
        """Leave to be learned what the method names."""
        for name, weight in model.named_parameters():
            between = bool(BETWEEN.search(name))
            sees = bool(EYE.search(name)) and not between
            weight.requires_grad_(between if method == "head" else not (sees and self.options.frozen_encoder))
        if not any(weight.requires_grad for weight in model.parameters()):
            raise Unsupported(
                f"{self.given.base.spec.title} has no projector that is known here: train it with the method lora."
            )

    @staticmethod
    def lacks(row: Row) -> str:
        """A picture and an answer."""
        if row.image is None:
            return "a picture"
        if sum(message["content"].count(PICTURE) for message in row.messages) > 1:
            return "one picture only"
        return "" if row.dialogue or (row.targets and not row.messages) else "an answer"

    @staticmethod
    def target(row: Row) -> str:
        """The last answer."""
        return row.answer

    def size(self, row: Row) -> int:
        """Letters: pictures take about the same."""
        return len(row.text) + len(self.target(row)) + sum(len(one["content"]) for one in row.messages)

    def _talk(self, row: Row, answer: str) -> list[dict[str, Any]]:
        """The row as a chat of parts that ends with an answer; its picture stands where it is named, else first."""
        if row.dialogue:
            said = [(one["role"], one["content"]) for one in row.dialogue]
        else:
            said = [("user", row.text or PROMPTS["sentence"]), ("assistant", answer)]
        if not any(PICTURE in content for _, content in said):
            first = next((place for place, (role, _) in enumerate(said) if role == "user"), 0)
            said[first] = (said[first][0], PICTURE + said[first][1])
        image = shrunk(picture(row, self.given.settings, LARGEST), PIXELS.get(self.given.device, PIXELS["cuda"]))
        return [{"role": role, "content": parts(content, image)} for role, content in said]

    def encode(self, row: Row) -> Example:
        """The chat; which of several answers changes with the random numbers of the step."""
        answer = row.targets[int(torch.randint(len(row.targets), ()))] if row.targets else ""
        return {"talk": self._talk(row, answer)}

    def _given(self, talks: Sequence[Any], ask: bool) -> Any:
        """What the model takes of chats, padded: at the left to be answered, else at the right."""
        self.processor.tokenizer.padding_side = "left" if ask else "right"
        return self.processor.apply_chat_template(
            list(talks), add_generation_prompt=ask, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip

    def _text(self, talk: Sequence[Any], ask: bool = False) -> str:
        text: str = self.processor.apply_chat_template([list(talk)], add_generation_prompt=ask, tokenize=False)[0]
        return text

    def _behind(self, text: str) -> int:
        """Tokens of the end of a chat, which has no picture."""
        return len(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def collate(self, examples: Sequence[Example]) -> Batch:
        """What the processor makes of the chats, and labels (rows, length); a label stands at its own token."""
        talks = [one["talk"] for one in examples]
        batch = dict(self._given(talks, ask=False))
        labels = torch.full_like(batch["input_ids"], IGNORED)
        for line, talk in enumerate(talks):
            whole, length = self._text(talk), int(batch["attention_mask"][line].sum())
            for place, message in enumerate(talk):
                if message["role"] == "assistant":
                    begin, end = len(self._text(talk[:place], ask=True)), len(self._text(talk[: place + 1]))
                    first, last = (length - self._behind(whole[at:]) for at in (begin, end))
                    labels[line, first:last] = batch["input_ids"][line, first:last]
        return {**batch, "labels": labels}

    def count(self, batch: Batch) -> int:
        """The first token of a row is never predicted."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of each token of the answers after those before it."""
        given = {name: tensor for name, tensor in batch.items() if name != "labels"}
        logits = model(**given, use_cache=False).logits
        return cross_entropy(logits[:, :-1], batch["labels"][:, 1:], self.options.label_smoothing)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The answer to all that stands before the last one, greedily."""
        answers, model, words = [""] * len(rows), self.model, self.processor.tokenizer
        most = AT_ONCE if words.pad_token_id is not None else 1
        for places, some in self.pieces(rows, most):
            given = self._given([self._talk(row, "")[:-1] for row in some], ask=True).to(self.given.device)
            written = model.generate(  # type: ignore[operator]
                **given, max_new_tokens=ANSWER, do_sample=False, num_beams=1, pad_token_id=words.pad_token_id
            )
            texts = words.batch_decode(written[:, given["input_ids"].shape[1] :], skip_special_tokens=True)
            for place, text in zip(places, texts, strict=True):
                answers[place] = text.strip()
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """ROUGE-L, BLEU-4 and CIDEr against the row's own answers."""
        truth = [(self.target(row),) if row.messages else row.targets for row in rows]
        return metrics.captions(truth, answers)

    def save(self, folder: Path) -> None:
        """The whole model with its processor, as the studio and plain `transformers` open it; its adapters alone."""
        models.save_adapter(self.model, folder)
        models.merged(self.model).save_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"
        self.processor.save_pretrained(folder)


def parts(content: str, image: Any) -> list[dict[str, Any]]:
    """A message with `<image>` in it as the parts of a chat template."""
    found: list[dict[str, Any]] = []
    for place, text in enumerate(content.split(PICTURE)):
        if place:
            found.append({"type": "image", "image": image})
        if text.strip("\n"):
            found.append({"type": "text", "text": text.strip("\n") if place else text})
    return found


def spoken(model: Any) -> list[str]:
    """Full names of the linear layers of the language model's blocks: what adapters stand beside."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.rpartition(".")[2] in TARGETS
        and not EYE.search(name)
        and not BETWEEN.search(name)
    ]

"""Speech recognition: Whisper learns a language, an accent, a vocabulary. The loss counts the words, not the prompt."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.errors import UnknownName, Unsupported
from mmdemo.training import metrics, models
from mmdemo.training.features import Features
from mmdemo.training.recipes import hearing
from mmdemo.training.recipes.base import IGNORED, Batch, Example, Given, Recipe, cross_entropy, padded

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
LONGEST = 224
"""Tokens of a row's words; Whisper's decoder has 448 places, half of them for a prompt."""
TICK = 0.02
"""Seconds between two time tokens. Every other row is learned with them, so that times are not unlearned."""
PLACES = 50
"""Places of the encoder's output a second."""
SILENCE = 2.0
"""Seconds of the silence behind a recording that the decoder still sees while it learns. It fills half a minute: of
three seconds of speech nine tenths of the decoder's work would be silence. Answers are always from all of it."""
AT_ONCE = 8


class SpeechRecognition(Recipe):
    """Whisper of any size."""

    starter = "whisper-base"
    metric = "wer"
    lower = True
    methods = {"lora": 1e-3, "full": 3e-5, "head": 1e-4}  # noqa: RUF012  # read only
    step_rows = 16
    epochs = 4

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

        self.processor: Any = models.processor(AutoProcessor, given.base)
        whole: Any = models.opened(AutoModelForSpeechSeq2Seq, given.base)
        if whole.config.model_type != "whisper":
            raise Unsupported(f"{given.base.spec.title} is no Whisper model: only those can be trained on speech here.")
        models.drop_out(whole.config, -1.0)
        self.frozen = not given.learning or self.options.frozen_encoder or self.options.method == "head"
        silent = getattr(whole.generation_config, "no_timestamps_token_id", None)
        self.times = silent + 1 if silent and silent + 1 + hearing.LONGEST / TICK < whole.config.vocab_size else 0
        self.languages: dict[str, int] = getattr(whole.generation_config, "lang_to_id", None) or {}
        said = [row.language for row in given.rows if row.language] or [self.options.language]
        self.language = Counter(said).most_common(1)[0][0]
        if given.learning:
            self._settle(whole)
        self.whole = whole.to(given.device).eval()
        if given.learning and self.options.method == "lora":
            places = "decoder" if self.frozen else "(encoder|decoder)"
            self.whole = models.adapted(self.whole, self.options, rf".*{places}\..*({'|'.join(TARGETS)})$").eval()
        self.model = self.whole
        self._freeze()
        encoder = self._bare.get_encoder()
        made_by = f"whisper {given.base.spec.key} {_sum_of(encoder)}"
        self.features = Features(given.settings, made_by, self._encoded)

    @property
    def _bare(self) -> Any:
        """The Whisper model inside its adapters."""
        return self.whole.get_base_model() if hasattr(self.whole, "get_base_model") else self.whole

    def _settle(self, whole: Any) -> None:
        """Write down the language that is learned, so that whoever loads the model need not name it."""
        if not self.languages or not self.language:
            return
        if f"<|{self.language}|>" not in self.languages:
            raise UnknownName("language", self.language, (name[2:-2] for name in sorted(self.languages)))
        if len({row.language or self.options.language for row in self.given.rows}) == 1:
            whole.generation_config.language = self.language
            whole.generation_config.task = "transcribe"

    def _freeze(self) -> None:
        bare, options = self._bare, self.options
        if not self.given.learning:
            return
        if options.method == "full" and self.frozen:
            bare.get_encoder().requires_grad_(False)
        elif options.method == "head":  # the last layer of the decoder, and the norm after it
            bare.requires_grad_(False)
            bare.model.decoder.layers[-1].requires_grad_(True)
            bare.model.decoder.layer_norm.requires_grad_(True)
        if options.method == "full":
            bare.model.encoder.embed_positions.requires_grad_(False)  # sinusoids, as Whisper was published

    @staticmethod
    def lacks(row: Row) -> str:
        """A recording and its words."""
        if not (row.audio or row.video):
            return "a recording"
        return "" if row.targets or row.text else "the words that are said"

    @staticmethod
    def target(row: Row) -> str:
        """The words that are said."""
        return row.targets[0] if row.targets else row.text

    def size(self, row: Row) -> int:
        """Letters: every recording takes half a minute of the encoder."""
        return len(self.target(row))

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Encode every recording once, if the encoder stays as it is."""
        if self.frozen:
            self.features.prepare(rows, progress)

    @torch.inference_mode()
    def _encoded(self, rows: Sequence[Row]) -> Any:
        """(rows, 1500, width): what the encoder makes of the recordings."""
        spectra = hearing.spectra(rows, self.processor.feature_extractor, self.given.settings)
        tensor = torch.from_numpy(spectra).to(self.given.device)
        return self._bare.get_encoder().eval()(tensor).last_hidden_state.float().cpu().numpy()

    def _prompt(self, row: Row) -> list[int]:
        """The tokens before the words: start, language, task, no times."""
        settings = self._bare.generation_config
        tokens = [int(self._bare.config.decoder_start_token_id)]
        if self.languages:
            name = f"<|{row.language or self.language}|>"
            if name in self.languages:
                tokens += [int(self.languages[name]), int(settings.task_to_id["transcribe"])]
        return [*tokens, int(settings.no_timestamps_token_id)]

    def encode(self, row: Row) -> Example:
        """The prompt and the words as tokens, and what the encoder reads or has made of the recording."""
        tokenizer = self.processor.tokenizer
        text = self.target(row).strip()
        # Whisper's English words begin with a space, as they do after another word
        ids = tokenizer(f" {text}" if text[:1].isascii() else text, add_special_tokens=False)["input_ids"]
        made: dict[str, Any] = {"prompt": self._prompt(row), "ids": ids[: self.options.max_length or LONGEST]}
        if self.times and zlib.crc32(row.origin.encode()) % 2:
            made["prompt"].pop()  # "no times"
            made["ids"] = [self.times, *made["ids"], self.times + round(hearing.heard(row, self.given.settings) / TICK)]
        if self.frozen:
            seen = round(PLACES * (hearing.heard(row, self.given.settings) + SILENCE))
            return {**made, "encoded": self.features(row), "seen": seen}
        return {**made, "spectrum": hearing.spectra([row], self.processor.feature_extractor, self.given.settings)[0]}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """encoded (rows, places, width) or input_features (rows, bins, 3000); decoder_input_ids, labels (rows, length).

        A label stands where it is to be predicted; the prompt's own places are `IGNORED`.
        """
        end = int(self._bare.config.eos_token_id)
        given = [[*one["prompt"], *one["ids"]] for one in examples]
        wanted = [[IGNORED] * (len(one["prompt"]) - 1) + [*one["ids"], end] for one in examples]
        batch = {"decoder_input_ids": padded(given, end), "labels": padded(wanted, IGNORED)}
        if self.frozen:
            seen = max(one["seen"] for one in examples)
            stack = np.stack([one["encoded"][:seen] for one in examples])
            return {**batch, "encoded": torch.from_numpy(stack).float()}
        return {**batch, "input_features": torch.from_numpy(np.stack([one["spectrum"] for one in examples]))}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the words and of where they end."""
        heard: dict[str, Any] = (
            {"encoder_outputs": (batch["encoded"],)} if self.frozen else {"input_features": batch["input_features"]}
        )
        logits = model(**heard, decoder_input_ids=batch["decoder_input_ids"], use_cache=False).logits
        return cross_entropy(logits, batch["labels"], self.options.label_smoothing)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """What is heard, greedily; in the row's language, else the one that was learned, else it is detected."""
        from transformers.modeling_outputs import BaseModelOutput

        bare, answers = self._bare, [""] * len(rows)
        for places, some in self.pieces(rows, AT_ONCE):
            if self.frozen:
                stack = torch.from_numpy(np.stack(list(self.features.many(some)))).float().to(self.given.device)
            else:
                stack = torch.from_numpy(self._encoded(some)).to(self.given.device)
            more: dict[str, Any] = {}
            if self.languages:
                named = [row.language or self.language for row in some]
                more = {"task": "transcribe", "language": named if all(named) else None}
            limit = min(LONGEST, max(16, 2 + 2 * max(self.size(row) for row in some)))
            ids = bare.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=stack), max_new_tokens=limit, num_beams=1,
                do_sample=False, return_timestamps=False, **more,
            )  # fmt: skip
            for place, text in zip(places, self.processor.batch_decode(ids, skip_special_tokens=True), strict=True):
                answers[place] = text.strip()
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """Word and letter errors."""
        languages = [row.language or self.language for row in rows]
        return metrics.speech([self.target(row) for row in rows], answers, languages)

    def save(self, folder: Path) -> None:
        """A Whisper checkpoint of `transformers` with its processor, and its adapters alone."""
        models.save_adapter(self.model, folder)
        models.merged(self.model).save_pretrained(folder)
        self.processor.save_pretrained(folder)


def _sum_of(encoder: Any) -> str:
    """What tells an encoder's weights from others': a sum over some of them."""
    return f"{sum(float(one.detach().float().abs().sum()) for one in list(encoder.parameters())[:4]):.6f}"

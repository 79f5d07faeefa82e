"""Two towers on the disk: the model, the tokenizer of its text, and how its pictures or recordings are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from mmdemo.errors import WeightsError
from mmdemo.fusion import compose, encoders, reading
from mmdemo.fusion.config import SiameseConfig
from mmdemo.fusion.siamese import SiameseModel

# isort: split
from transformers import AutoFeatureExtractor, AutoTokenizer

RATE = 16_000
ENCODERS = ("media.", "text.")
"""How the names of the encoders' tensors begin."""
LONGEST = 128
"""Tokens of a text that are read."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Aligned:
    """A model of two towers with what goes before it; its folder is one that `AutoModel` opens.

    Attributes:
        extractor: makes log-mel features of recordings; None for a model of pictures.
    """

    model: SiameseModel
    tokenizer: Any
    extractor: Any = None

    @classmethod
    def load(cls, folder: Path) -> Aligned:
        """What `save` wrote.

        Raises:
            WeightsError: it is no model of two towers, or cannot be read.
        """

        def read() -> Any:
            model, found = SiameseModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            if found["missing_keys"]:
                absent = min(found["missing_keys"])
                raise WeightsError(f"A tensor of the checkpoint in {folder} is missing: {absent!r}.")
            if found["unexpected_keys"]:
                extra = min(found["unexpected_keys"])
                raise WeightsError(f"A tensor of the checkpoint in {folder} has no place: {extra!r}.")
            return model

        if not (folder / "config.json").is_file():
            raise WeightsError(f"{folder} has no config.json: choose the folder of a trained pair of towers.")
        model: SiameseModel = compose.loaded(folder, "two towers", read)
        tokenizer = compose.loaded(
            folder, "a tokenizer", lambda: AutoTokenizer.from_pretrained(folder, local_files_only=True)
        )
        return cls(
            model.eval(), tokenizer, _extractor(folder) if model.config.media_config.model_type == "whisper" else None
        )

    @classmethod
    def begun(cls, media: Path, text: Path, **choices: Any) -> Aligned:
        """Frozen encoders of two folders, and fresh projectors.

        Args:
            media: of an encoder of pictures, or of a Whisper; `text`: of an encoder of text.
            choices: other fields of `SiameseConfig`.

        Raises:
            WeightsError: a folder cannot be read as what it is given for.
        """
        (seen, seen_config), (read, read_config) = compose.encoder(media), compose.encoder(text)
        config = SiameseConfig(media_config=seen_config.to_dict(), text_config=read_config.to_dict(), **choices)
        model = SiameseModel(config)
        model.media, model.text = seen, read
        tokenizer = compose.loaded(
            text, "a tokenizer", lambda: AutoTokenizer.from_pretrained(text, local_files_only=True)
        )
        return cls(model.eval(), tokenizer, _extractor(media) if seen_config.model_type == "whisper" else None)

    @classmethod
    def joined(cls, folder: Path, media: Path, text: Path) -> Aligned:
        """What `save_learned` wrote, with the encoders of two other folders.

        Raises:
            WeightsError: a folder cannot be read, an encoder is another one than the projectors belong to, or a tensor
                is missing or too many.
        """
        config = compose.loaded(folder, "two towers", lambda: SiameseConfig.from_pretrained(folder))
        towers = cls.begun(media, text, size=config.size, projector=config.projector, loss=config.loss)
        for side, known in (config.encoders or {}).items():
            if encoders.fingerprint(getattr(towers.model, side)) != known:
                place = {"media": media, "text": text}[side]
                raise WeightsError(
                    f"The projectors in {folder} belong to another encoder than the one in {place}: fetch that model "
                    "again, or train text-image-retrieval with this one."
                )
        weights = compose.loaded(folder, "two towers", lambda: load_file(folder / "model.safetensors"))
        own = {name for name in towers.model.state_dict() if not name.startswith(ENCODERS)}
        if wrong := own ^ weights.keys():
            raise WeightsError(f"The checkpoint in {folder} does not fit its config: look at {min(wrong)!r}.")
        towers.model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=False)
        return towers

    def save_learned(self, folder: Path) -> None:
        """Write what was learned, in float16, and which encoders it belongs to; they have sources of their own."""
        config = deepcopy(self.model.config)
        config.encoders = {side: encoders.fingerprint(getattr(self.model, side)) for side in ("media", "text")}
        config.media_config._name_or_path = config.text_config._name_or_path = ""  # a place on this machine
        config.save_pretrained(folder)
        own = {name: tensor for name, tensor in self.model.state_dict().items() if not name.startswith(ENCODERS)}
        save_file({name: tensor.half() for name, tensor in own.items()}, folder / "model.safetensors", {"format": "pt"})

    def save(self, folder: Path) -> None:
        """Write all of it, encoders too."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.extractor is not None:
            self.extractor.save_pretrained(folder)

    @torch.inference_mode()
    def media_features(self, media: Sequence[Any]) -> Floats:
        """RGB pictures, or mono samples at 16 kHz of half a minute at most → (files, channels), mean of positions."""
        values = self._sounds(media) if self.extractor is not None else self._pictures(media)
        features = self.model.media.read(torch.from_numpy(values).to(self.model.device))
        return features.mean(1).float().cpu().numpy()

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> Floats:
        """(texts, channels), means over tokens."""
        places = int(getattr(self.model.config.text_config, "max_position_embeddings", LONGEST))
        given = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=min(LONGEST, places), return_tensors="pt"
        )
        given = given.to(self.model.device)
        features = self.model.text.read(given["input_ids"], given["attention_mask"])
        mask = given["attention_mask"][..., None].to(features.dtype)
        pooled: Floats = ((features * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy()
        return pooled

    @torch.inference_mode()
    def media_vectors(self, media: Sequence[Any]) -> Floats:
        """As `media_features`, in the common space: (files, size), of length 1."""
        features = torch.from_numpy(self.media_features(media))[:, None]
        return self.model.embed_media(features=features.to(self.model.device)).cpu().numpy()

    @torch.inference_mode()
    def text_vectors(self, texts: Sequence[str]) -> Floats:
        """(texts, size), of length 1: their dot products with `media_vectors` say what belongs together."""
        features = torch.from_numpy(self.text_features(texts))[:, None]
        return self.model.embed_text(text_features=features.to(self.model.device)).cpu().numpy()

    def _pictures(self, images: Sequence[Image.Image]) -> Floats:
        made: Floats = reading.pictures(images, self.model.config.media_config)
        return made

    def _sounds(self, sounds: Sequence[Floats]) -> Floats:
        made: Floats = self.extractor(list(sounds), sampling_rate=RATE, return_tensors="np")["input_features"]
        return made


def _extractor(folder: Path) -> Any:
    return compose.loaded(
        folder, "a feature extractor", lambda: AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    )

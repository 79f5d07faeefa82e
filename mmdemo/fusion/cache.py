"""Features of frozen encoders, computed once: kept by the content of the file and by which encoder read it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdemo.errors import WeightsError

MARK = "encoder.txt"
"""Says whose features a folder holds."""


class FeatureCache:
    """A folder of features, one file a content, in float16."""

    def __init__(self, folder: Path, encoder: str) -> None:
        """Open or begin it.

        Args:
            encoder: what tells the encoder from others, with all that decides how a file is read: its
                `encoders.fingerprint`, and the size and number of pictures.

        Raises:
            WeightsError: the folder holds features of another encoder.
        """
        self.folder, self.encoder = folder, encoder
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / MARK
        if not mark.exists():
            mark.write_text(encoder, encoding="utf-8")
        elif mark.read_text(encoding="utf-8") != encoder:
            raise self._another()

    def features(
        self, contents: Sequence[str], compute: Callable[[list[int]], Sequence[Tensor]], batch: int = 16
    ) -> list[Tensor]:
        """Features of each content, in float32: what is here is read, the rest is computed and kept.

        A content that comes twice is computed once; a file that is damaged is computed again.

        Args:
            contents: SHA-256 of each file, as `Row.content`.
            compute: indices of `contents` → their features, (positions, channels) each.

        Raises:
            WeightsError: a file holds features of another encoder.
        """
        found: dict[str, Tensor | None] = {content: self._read(content) for content in dict.fromkeys(contents)}
        first = {content: index for index, content in reversed(list(enumerate(contents)))}
        missing = [first[content] for content, tensor in found.items() if tensor is None]
        for start in range(0, len(missing), batch):
            indices = missing[start : start + batch]
            for index, fresh in zip(indices, compute(indices), strict=True):
                found[contents[index]] = self._keep(contents[index], fresh)
        return [tensor for content in contents if (tensor := found[content]) is not None]

    def _file(self, content: str) -> Path:
        key = hashlib.sha256(f"{self.encoder}\n{content}".encode()).hexdigest()
        return self.folder / f"{key[:32]}.safetensors"

    def _read(self, content: str) -> Tensor | None:
        file = self._file(content)
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as kept:
                if (kept.metadata() or {}).get("encoder") != self.encoder:
                    raise self._another()
                return kept.get_tensor("features").float()  # type: ignore[no-any-return]
        except (SafetensorError, OSError):
            return None

    def _keep(self, content: str, features: Tensor) -> Tensor:
        file = self._file(content)
        kept = features.detach().to("cpu", torch.float16).contiguous()
        partial = file.with_suffix(f".{os.getpid()}.partial")
        save_file({"features": kept}, partial, metadata={"encoder": self.encoder})
        partial.replace(file)
        return kept.float()

    def _another(self) -> WeightsError:
        return WeightsError(
            f"The features in {self.folder} are of another encoder: choose that encoder again, or empty the folder."
        )

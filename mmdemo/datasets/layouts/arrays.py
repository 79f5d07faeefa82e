"""Pictures and classes as arrays in an `.npz`, as MedMNIST has them: `train_images`, `train_labels`, `val_images`, …"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.datasets.embedded import data_folder, write
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.names import split_of
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, TooLarge
from mmdemo.media import files

PAIRS = (("images", "labels"), ("x", "y"), ("data", "labels"), ("image", "label"))


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """Pictures are written to the studio's data folder as PNG, once.

    Raises:
        InputError: arrays of other shapes or kinds; names the file and the array.
        TooLarge: more bytes or pictures than the limits.
    """
    found = [path for path in folder.files if path.suffix.lower() == ".npz"]
    if not found:
        return None
    rows: list[Row] = []
    for path in found:
        rows += _rows(path, folder)
    return Found("npz", rows, {"images": "image", "labels": "label"})


def _rows(path: Path, folder: Folder) -> list[Row]:
    import numpy as np

    name, settings = folder.name(path), folder.settings
    files.check(path, settings)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > settings.max_megabytes * 1_000_000:
            raise TooLarge(f"{name} holds {size / 1e6:,.0f} MB: split it, or raise MMDEMO_MAX_MEGABYTES.")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError) as error:
        raise InputError(f"{name} is broken or holds more than plain arrays ({error}): save it again.") from error
    target = data_folder(settings) / "arrays" / hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    rows: list[Row] = []
    for split, first, second in _pairs(arrays):
        images, labels = arrays[first], arrays[second]
        if len(images) != len(labels) or images.ndim not in (3, 4) or images.dtype != np.uint8:
            raise InputError(
                f"{name}: {first} is {images.dtype} of shape {images.shape} with {len(labels)} labels; it should be "
                "uint8 (pictures, height, width[, channels]), with a label each."
            )
        if images.ndim == 4 and images.shape[-1] not in (1, 3, 4):
            raise InputError(f"{name}: {first} has {images.shape[-1]} channels; pictures have 1, 3 or 4.")
        if len(rows) + len(images) > settings.max_files:
            raise TooLarge(f"{name} holds more than {settings.max_files:,} pictures: raise MMDEMO_MAX_FILES.")
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            image = target / f"{first}-{number}.png"
            if not image.is_file():
                write(image, _png(pixels), sync=False)
            said = ", ".join(str(one) for one in np.atleast_1d(label))
            rows.append(Row(f"{name}, {first}, row {number + 1}", image=image, label=said, split=split))
    if not rows:
        raise InputError(f"{name} has no arrays called images and labels, or train_images and train_labels.")
    return rows


def _pairs(arrays: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Split, pictures, labels: `train_images` and `train_labels`, `x_train` and `y_train`, `images` and `labels`."""
    found: list[tuple[str, str, str]] = []
    for first, second in PAIRS:
        for key in arrays:
            words = key.lower().split("_")
            if first in words:
                other = "_".join(second if word == first else word for word in words)
                partner = next((one for one in arrays if one.lower() == other), None)
                if partner:
                    found.append((next(filter(None, map(split_of, words)), ""), key, partner))
        if found:
            break
    return found


def _png(pixels: Any) -> bytes:
    import io

    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()

"""Train the starter describer: `python -m mmdemo.starter.train --data FOLDER --out assets/starter`.

The encoder is frozen and runs once over every picture, its mirror image and other framings of it. A projector and a
small Transformer decoder learn to say what people said of it (`supervised`), then to say it as people agree on
(`reward`).
With `--epochs 0` the checkpoint in `--out` is only improved by reward. See `assets/starter/README.md` for the numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps

from mmdemo import catalog
from mmdemo.errors import InputError
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from mmdemo.specs import ModelFile
from mmdemo.starter import reward, supervised
from mmdemo.starter.captions import Row, read
from mmdemo.starter.features import View, as_it_is, compute, crops, encoder, print_progress
from mmdemo.starter.recipe import Recipe


def main(argv: list[str] | None = None) -> int:
    """The command line: fetch the encoder, compute the features once, train."""
    parser = argparse.ArgumentParser(prog="python -m mmdemo.starter.train", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with metadata.jsonl: file, split, captions")
    parser.add_argument("--out", type=Path, default=Path("assets/starter"), help="where the checkpoint goes")
    parser.add_argument("--work", type=Path, default=Path("build/starter"), help="where the features are kept")
    for field in fields(Recipe):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(field.default), default=field.default, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    encoder_folder = fetch(catalog.get("efficientnet-lite2"), Settings.load(), lambda progress: None, lambda: False)
    rows, held_out = read(arguments.data, "train"), read(arguments.data, "val")
    if not rows or not held_out:
        raise InputError(f"{arguments.data} needs rows of the splits train and val in its metadata.jsonl.")
    encode = encoder(encoder_folder)
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = FusionVisionConfig()

    def features(name: str, of: list[Row], view: View = as_it_is) -> NDArray[np.float16]:
        target = arguments.work / f"{name}.npy"
        return compute([row.file for row in of], encode, config, target, view=view, report=print_progress)

    torch.manual_seed(recipe.seed)
    views = [features("train", rows), features("train-mirror", rows, ImageOps.mirror)]
    views += [features(f"train-crop{number}", rows, crops()) for number in range(1, recipe.crops + 1)]
    check = features("val", held_out)
    if recipe.epochs:
        supervised.train(recipe, rows, views, held_out, check, arguments.out, encoder_folder)
    if recipe.reward_steps:
        reward.train(recipe, rows, views, held_out, check, arguments.out, encoder_folder)
    print("The catalog's row of the starter describer pins these files:", *pins(arguments.out), sep="\n")
    return 0


def pins(folder: Path, key: str = "starter-describer") -> list[ModelFile]:
    """The files of a written checkpoint that the program loads, as the row `key` of the catalog pins them."""
    files = [folder / file.name for file in catalog.get(key).files]
    return [ModelFile(file.name, hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size) for file in files]


if __name__ == "__main__":
    sys.exit(main())

"""Where the tokens of a vision-language model are in its picture: a grid, tiles, or patches of any shape."""

from __future__ import annotations

from math import isqrt, log, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import Unsupported

Floats = NDArray[np.float32]
SPARE = 4
"""Tokens before a grid that may belong to no place of it: a CLS token, means over the picture."""


def over_picture(weights: Floats, inputs: dict[str, Any], config: Any, size: tuple[int, int]) -> Floats:
    """How much each token of a picture counts, (tokens,), as rows and columns of the whole picture; the sum stays.

    Args:
        inputs: what the model is given: `pixel_values`, `image_grid_thw`.
        size: (width, height) of the picture.

    Raises:
        Unsupported: the model arranges its tokens in another way.
    """
    if "image_grid_thw" in inputs:
        merged = getattr(getattr(config, "vision_config", config), "spatial_merge_size", 2)
        _, rows, columns = (int(number) for number in inputs["image_grid_thw"][0])
        return weights.reshape(rows // merged, columns // merged)
    count = prod(inputs["pixel_values"].shape[:-3])
    if len(weights) % count:
        raise Unsupported("This model arranges its picture in a way that is not known here: choose another to ask why.")
    grids = [grid(tile) for tile in weights.reshape(count, -1)]
    if count == 1:
        return grids[0]
    down, across = tiles(count - 1, size)  # all of the picture, smaller, comes last
    side = len(grids[0])
    detail = np.concatenate(
        [np.concatenate(grids[row * across : (row + 1) * across], axis=1) for row in range(down)], axis=0
    )
    shape = detail.shape
    rows, columns = (np.arange(length) * side // length for length in shape)
    whole = grids[-1][rows][:, columns]
    return np.asarray(detail + whole * (grids[-1].sum() / max(float(whole.sum()), 1e-12)), np.float32)


def grid(weights: Floats) -> Floats:
    """A line of tokens as a square; what stands before the square is spread over it.

    Raises:
        Unsupported: there is no such square.
    """
    side = isqrt(len(weights))
    extra = len(weights) - side * side
    if extra > SPARE:
        raise Unsupported("This model arranges its picture in a way that is not known here: choose another to ask why.")
    return np.asarray(weights[extra:].reshape(side, side) + weights[:extra].sum() / (side * side), np.float32)


def tiles(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that a picture of this size is cut into: those that fit its shape best."""
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    return min(pairs, key=lambda pair: abs(log(pair[1] / pair[0]) - log(size[0] / size[1])))

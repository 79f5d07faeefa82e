"""How the features of an encoder spread: what they are standardised by before something is learned from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 0.01
"""What a channel is taken to vary by at least, as a share of the mean of all: less would be taken for a great deal."""


def spread(features: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and deviation of each channel, (channels) each, of features (rows, channels); also of one row.

    A channel that hardly ever varies counts as varying by `LEAST`, so that no weight on it becomes huge.
    """
    mean, deviation = features.mean(0), features.std(0)
    return mean, np.maximum(deviation, LEAST * float(deviation.mean()) or 1.0)

"""Data to train and test on: read any usual layout, look at it, split it, keep corrections"""

from mmdemo.datasets.reading import read
from mmdemo.datasets.rows import Dataset, Row

__all__ = ["Dataset", "Row", "read"]

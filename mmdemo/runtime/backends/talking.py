"""What every engine of language models shares: how it is asked, and what it refuses."""

from __future__ import annotations

from mmdemo.catalog import ModelSpec
from mmdemo.errors import Unsupported

PENALTY = 1.1
"""Divides the score of words already used (Keskar et al. 2019, CTRL, section 4.1): small models repeat themselves."""


def no_template(spec: ModelSpec) -> Unsupported:
    """The error for a checkpoint that was not made to chat."""
    return Unsupported(f"{spec.title} cannot chat: its checkpoint has no chat template.")


def too_long(spec: ModelSpec, room: int) -> Unsupported:
    """The error for messages that leave `room` tokens, less than one, for an answer."""
    return Unsupported(f"That is too long for {spec.title}: shorten the text by {1 - room} tokens or more.")

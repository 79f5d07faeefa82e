"""What a checkpoint will take in memory: weights by module, key-value cache, activations. Bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A module of a checkpoint: its parameters, and the bytes that they take as they are held."""

    name: str
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Stored:
    """Weights of one type in one module, as they lie in the files: their numbers and bytes.

    Attributes:
        dtype: as safetensors has it, such as `BF16`; a packed one holds several weights in a number.
    """

    name: str
    dtype: str
    numbers: int
    bytes: int


@dataclass(frozen=True)
class Estimate:
    """Before anything is loaded.

    Attributes:
        parts: the modules; together they are all weights.
        cache: keys and values of one conversation of `tokens` tokens.
        activations: the most that lives at once while such a conversation is read.
        other: what the engine takes besides: prompts that it keeps, its own copies, tables, libraries' buffers.
        dtype: what the weights are held as.
        stored: what the headers of the files say, where there are safetensors, of fetched ones or of those on the Hub.
    """

    parts: tuple[Part, ...]
    cache: int = 0
    activations: int = 0
    other: int = 0
    tokens: int = 0
    dtype: str = ""
    stored: tuple[Stored, ...] = ()

    @property
    def weights(self) -> int:
        """All parts together."""
        return sum(part.bytes for part in self.parts)

    @property
    def total(self) -> int:
        """What the checkpoint takes while it answers one conversation."""
        return self.weights + self.cache + self.activations + self.other

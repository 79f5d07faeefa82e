"""An engine for the manager's tests: its models are folders with a few bytes."""

from __future__ import annotations

from mmdemo.runtime.base import Load

GB = 1_000_000_000


class Toy:
    """An engine that loads nothing and takes `takes` bytes of the world's memory."""

    world: dict[str, int]
    takes: dict[str, int]
    built: list[str]

    def __init__(self, request: Load) -> None:
        request.go_on()
        self.request = request
        self.spec = request.spec
        self.device = request.device
        self.closed = False
        Toy.built.append(self.spec.key)
        Toy.world[self.spec.key] = Toy.takes[self.spec.key]

    @staticmethod
    def size(request: Load) -> int:
        return Toy.takes[request.spec.key]

    def close(self) -> None:
        self.closed = True
        Toy.world.pop(self.spec.key, None)

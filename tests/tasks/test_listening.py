"""Sound to segments as one stream: read no further than needed, alive in silence, stopped at any block."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from mmdemo.errors import Cancelled
from mmdemo.media.audio import Block
from mmdemo.runtime.base import Clip, Heard, Hearing
from mmdemo.tasks.listening import batches, clips, listen
from tests.tasks.scripted import RATE, Parrot


class Endless:
    """Blocks of a recording that never ends, of silence or of noise; `read` counts those that were taken."""

    def __init__(self, loud: float = 0.0) -> None:
        self.read = 0
        self._loud = loud

    def __iter__(self) -> Iterator[Block]:
        for self.read in itertools.count(1):
            samples = np.random.default_rng(self.read).normal(0, 1, 30 * RATE) * self._loud
            yield Block((self.read - 1) * 30.0, samples.astype(np.float32))


def test_listening_reads_only_as_far_as_it_has_to() -> None:
    blocks = Endless(loud=0.1)
    found = listen(Parrot(), blocks, Hearing(), voice_only=False, batch=8, cancelled=lambda: False)
    first = next(heard for heard in found if isinstance(heard, Heard))
    assert first.segment.start == 0.0
    assert blocks.read <= 4


@pytest.mark.parametrize("loud", [0.0, 0.1], ids=["silence", "noise"])
def test_where_nobody_speaks_it_says_that_it_reads_on_and_can_be_stopped(loud: float) -> None:
    blocks, parrot = Endless(loud), Parrot()
    found = listen(parrot, blocks, Hearing(), voice_only=True, batch=8, cancelled=lambda: blocks.read > 5)
    told: list[object] = []
    with pytest.raises(Cancelled):
        for heard in found:
            told.append(heard)
    assert (told, blocks.read, parrot.calls) == ([None] * 5, 6, [])


def test_a_block_in_which_no_clip_ends_is_told() -> None:
    loud = list(itertools.islice(Endless(0.1), 3))
    found = list(clips(loud, voice_only=False, longest=50.0, cancelled=lambda: False))
    assert [one is None for one in found] == [True, False, True, False]  # after 30 s, 60 s, 90 s, and at the end
    assert sum(len(one.samples) for one in found if one is not None) == 90 * RATE


def test_a_batch_waits_for_its_clips_and_says_so() -> None:
    one = Clip(np.ones(RATE, np.float32))
    gathered = list(batches([None, one, None, one, one, None, one, one], 3))
    assert [len(batch) for batch in gathered] == [0, 0, 2, 0, 3]

"""Text that a `transformers` model generates, token by token, stoppable at every token.

`generate` runs in a thread of its own and hands each step over. Closing the iterator stops that thread at its next
token and waits for it: no other work starts while a model still runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from mmdemo.errors import Cancelled
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.handover import threaded

WORD = 1.6
"""Tokens a word takes, generously: 1.3 is usual for English, names and other languages take more."""


class Steps:
    """A streamer for `generate` that keeps batches: it gives each step's tokens, (rows,)."""

    def __init__(self, give: Callable[[list[int]], None]) -> None:
        self._give = give
        self._prompt_seen = False

    def put(self, value: Tensor) -> None:
        """Called by `generate`, first with the prompt, (rows, tokens), then with each step, (rows,)."""
        if self._prompt_seen:
            self._give(value.reshape(-1).tolist())
        self._prompt_seen = True

    def end(self) -> None:
        """Called by `generate` at the end, which its thread hands over itself, errors included."""


def steps(
    model: Any, inputs: dict[str, Any], *, threads: int = 0, over: Container[int] = (), **options: Any
) -> Generator[list[int], None, None]:
    """Run `model.generate(**inputs, **options)` and yield each step: one token for every row of the batch.

    Args:
        threads: CPU threads for it; 0 leaves the library's choice.
        over: rows that need not go on, asked before each step; what they get from then on is padding.
        options: as `generate` takes them; greedy unless they say otherwise.

    Raises:
        Whatever `generate` raises.
    """
    stop = threading.Event()

    def criterion(input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        ended = [stop.is_set() or row in over for row in range(input_ids.shape[0])]
        return torch.tensor(ended, dtype=torch.bool, device=input_ids.device)

    def run(give: Callable[[list[int]], None]) -> None:
        checkpoint.use_threads(threads)
        with torch.inference_mode():
            model.generate(
                **inputs, streamer=Steps(give), stopping_criteria=[criterion], **{"do_sample": False, **options}
            )

    return threaded(run, "generate", stop.set)


def unless(left: Sequence[Callable[[], bool]]) -> Callable[..., Tensor]:
    """A stopping criterion that ends `generate` at its next step, by an error, when everybody has left.

    For searches that give nothing before their end, so that closing them cannot stop them.

    Raises:
        Cancelled: from inside `generate`.
    """

    def criterion(input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        if left and all(gone() for gone in left):
            raise Cancelled("Stopped.")
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return criterion


class Growing:
    """The text of one row so far, from its tokens."""

    def __init__(self, tokenizer: Any, ends: set[int], **decoding: Any) -> None:
        self._tokenizer = tokenizer
        self._decoding = decoding
        self._ends = ends
        self._tokens: list[int] = []
        self.text = ""
        self.ended = False

    def add(self, token: int) -> bool:
        """Take one more token; whether the text grew. Half a character (of several bytes) waits for its rest."""
        if self.ended:
            return False
        if token in self._ends:
            self.ended = True
            return False
        self._tokens.append(token)
        text = self._decode()
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return False
        grew = text != self.text
        self.text = text
        return grew

    def finish(self) -> str:
        """The whole text, half characters included."""
        self.text = self._decode()
        return self.text

    def _decode(self) -> str:
        return str(self._tokenizer.decode(self._tokens, skip_special_tokens=True, **self._decoding))


def texts(
    model: Any,
    tokenizer: Any,
    inputs: dict[str, Any],
    rows: int,
    *,
    threads: int = 0,
    decoding: dict[str, Any] | None = None,
    limits: Sequence[int] = (),
    left: Sequence[Callable[[], bool]] = (),
    **options: Any,
) -> Generator[tuple[int, str, bool], None, None]:
    """Row number, text so far and whether it is whole, each time a row's text grows or ends.

    Every row ends exactly once, even with an empty text, if it is not closed before.

    Args:
        decoding: further arguments of the tokenizer's `decode`.
        limits: the most tokens of each row, where they differ; `max_new_tokens` else.
        left: for each row, whether nobody wants the rest of it any more.
        options: further arguments of `generate`.
    """
    ends = end_tokens(model, tokenizer)
    growing = [Growing(tokenizer, ends, **(decoding or {})) for _ in range(rows)]
    waiting = set(range(rows))
    over: set[int] = set()
    if limits:
        options["max_new_tokens"] = max(limits)
    with closing(steps(model, inputs, threads=threads, over=over, **options)) as running:
        for count, tokens in enumerate(running, 1):
            for row in sorted(waiting):
                grew = growing[row].add(tokens[row])
                cut = (limits and count >= limits[row]) or (left and left[row]())
                if growing[row].ended or cut:
                    waiting.discard(row)
                    over.add(row)
                    yield row, growing[row].finish(), True
                elif grew:
                    yield row, growing[row].text, False
            if not waiting:
                return
    for row in sorted(waiting):
        yield row, growing[row].finish(), True


def parts(
    model: Any, tokenizer: Any, inputs: dict[str, Any], rows: int, *, threads: int = 0, **options: Any
) -> Generator[tuple[int, str], None, None]:
    """Row number and piece of its text, as the pieces come; those of a row joined are its text. See `texts`."""
    sent = [0] * rows
    whole = {"clean_up_tokenization_spaces": False}  # tidying changes what was sent before
    with closing(texts(model, tokenizer, inputs, rows, threads=threads, decoding=whole, **options)) as running:
        for row, text, _ in running:
            if len(text) > sent[row]:
                yield row, text[sent[row] :]
                sent[row] = len(text)


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens at which a text ends: the generation configuration's and the tokenizer's.

    BERT's tokenizers, which captioners use, have no end token but end with their separator.
    """
    named = model.generation_config.eos_token_id if model.generation_config else None
    ends = set(named) if isinstance(named, list) else {named}
    last = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else getattr(tokenizer, "sep_token_id", None)
    return {token for token in ends | {last, tokenizer.pad_token_id} if token is not None}


def padding(model: Any, tokenizer: Any) -> int:
    """The token that fills the rows that ended first."""
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return min(end_tokens(model, tokenizer), default=0)


def tokens_for(words: int) -> int:
    """Tokens to allow for an answer of that many words."""
    return max(4, int(words * WORD))


def penalty(factor: float, mask: Tensor) -> Any:
    """The penalty for words already used, as `repetition_penalty` has it, but blind to the padding of shorter prompts.

    Args:
        mask: 1 for each token of the prompts, 0 for padding at the left, (rows, tokens).
    """
    from transformers import RepetitionPenaltyLogitsProcessor

    plain = RepetitionPenaltyLogitsProcessor(factor)

    def process(input_ids: Tensor, scores: Tensor) -> Any:
        real = input_ids.clone()
        prompts = real[:, : mask.shape[1]]
        real[:, : mask.shape[1]] = torch.where(mask.bool(), prompts, prompts[:, -1:])  # the last one is never padding
        return plain(real, scores)

    return process

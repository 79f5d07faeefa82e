"""Language models on a CPU through `openvino-genai`: GGUF files of Llama and Qwen kinds. No torch is imported."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdemo import private_openvino
from mmdemo.errors import StudioError, Unsupported, WeightsError
from mmdemo.folders import bytes_in
from mmdemo.runtime import headers
from mmdemo.runtime.backends import gguf_graph
from mmdemo.runtime.backends.talking import PENALTY, no_template, too_long
from mmdemo.runtime.base import Load, Talk
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.gguf_header import Header
from mmdemo.runtime.handover import threaded

TOKENS = 4096
"""Tokens whose keys and values there is room for: of all conversations that go on at once, and of earlier ones."""
BLOCK = 32
"""Tokens of a block of that cache on a CPU."""


class OpenVinoLMBackend:
    """A `Talker`: a decoder-only language model with a chat template."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = "cpu"
        self._numbers = itertools.count()
        packed = packed_of(request)
        exact = is_exact(request, packed)

        def opened() -> Any:
            folder = gguf_graph.folder_of(packed, exact)
            if not gguf_graph.is_made(packed, exact):
                folder = gguf_graph.make(packed, exact, request.go_on)
            request.go_on()
            how: dict[str, Any] = {
                "INFERENCE_NUM_THREADS": request.threads,
                # although the processor may have bfloat16: a token is a matrix times one vector, where that is slower
                "INFERENCE_PRECISION_HINT": "f32",
                "KV_CACHE_PRECISION": "f16",  # 8 bits would be smaller, slower, and tip the choice between near words
            }
            if exact:  # 8-bit inputs would tip that choice, too
                how["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
            genai = private_openvino.genai()
            scheduler = genai.SchedulerConfig()
            scheduler.num_kv_blocks = TOKENS // BLOCK
            scheduler.enable_prefix_caching = True
            return genai.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", how)

        try:
            self._pipeline: Any = opened()
        except (StudioError, MemoryError):
            raise
        except Exception as error:
            said = str(error).strip().split("\n")[0][:200] or type(error).__name__
            raise WeightsError(
                f"{self.spec.title} in {packed.parent} cannot be opened ({said}): remove it and fetch it again."
            ) from error
        self._tokenizer: Any = self._pipeline.get_tokenizer()
        self.room = min(context_of(packed), TOKENS)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory: the graph, a copy in the order it computes in, the embedding as float32."""
        packed = packed_of(request)
        exact = is_exact(request, packed)
        graph = gguf_graph.folder_of(packed, exact)
        size = bytes_in(graph) if gguf_graph.is_made(packed, exact) else packed.stat().st_size
        header = headers.gguf(packed)
        embedding = math.prod(header.shapes.get("token_embd.weight", (0,)))
        parameters = sum(math.prod(shape) for shape in header.shapes.values())
        parts = (Part("layers", parameters - embedding, 2 * size), Part("token_embd", embedding, 4 * embedding))
        return Estimate(
            parts, cache=cache_of(header, TOKENS), tokens=TOKENS, dtype="as in the file" if exact else "int4"
        )

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come, greedily; closing the iterator stops the model at its next token.

        What the messages have in common with earlier ones, from the first word on, is not read again.

        Raises:
            Unsupported: if the checkpoint has no chat template, or the messages leave no room for an answer.
        """
        with closing(self.converse([Talk(messages, max_tokens)])) as running:
            for _, piece in running:
                yield piece

    def converse(self, talks: Sequence[Talk]) -> Generator[tuple[int, str], None, None]:
        """As `talk`, for several conversations together; one that ends leaves the others all of the processor."""
        prompts = [self._prompt(talk) for talk in talks]
        stop = threading.Event()

        def run(give: Callable[[tuple[int, str]], None]) -> None:
            going = [self._begin(place, talk, *prompts[place], give) for place, talk in enumerate(talks)]
            try:
                while going and not stop.is_set():
                    self._pipeline.step()
                    going = [one for one in going if one.go_on()]
            finally:
                for one in going:
                    one.handle.stop()
                while going and self._pipeline.has_non_finished_requests():
                    self._pipeline.step()

        with closing(threaded(run, "generate", stop.set)) as running:
            yield from running

    def _prompt(self, talk: Talk) -> tuple[Any, int]:
        """The tokens of a conversation, and how many there may be of the answer."""
        if not self._tokenizer.chat_template:
            raise no_template(self.spec)
        history = private_openvino.genai().ChatHistory(list(talk.messages))
        prompt = self._tokenizer.apply_chat_template(history, add_generation_prompt=True)
        tokens = self._tokenizer.encode(prompt, add_special_tokens=False).input_ids
        room = self.room - tokens.shape[1]
        if room < 1:
            raise too_long(self.spec, room)
        return tokens, min(talk.max_tokens, room)

    def _begin(
        self, place: int, talk: Talk, tokens: Any, most: int, give: Callable[[tuple[int, str]], None]
    ) -> _Answer:
        genai = private_openvino.genai()
        how = genai.GenerationConfig()
        how.max_new_tokens = most
        how.do_sample = False
        how.repetition_penalty = PENALTY
        ends = self._tokenizer.get_eos_token_id()
        how.eos_token_id = ends
        how.stop_token_ids = {ends}

        def piece(text: str) -> Any:
            if text:
                give((place, text))
            return genai.StreamingStatus.RUNNING

        text = genai.TextStreamer(self._tokenizer, piece)
        return _Answer(self._pipeline.add_request(next(self._numbers), tokens, how), text, talk.left)

    def close(self) -> None:
        """Free the memory."""
        self._pipeline = self._tokenizer = None


@dataclass
class _Answer:
    """One conversation that goes on: what the pipeline knows it by, and its text."""

    handle: Any
    text: Any
    left: Callable[[], bool]

    def go_on(self) -> bool:
        """Pass on what has come; whether there is more to come."""
        over = self.handle.get_status() != private_openvino.genai().GenerationStatus.RUNNING
        while self.handle.can_read():
            for output in self.handle.read().values():
                self.text.write(list(output.generated_ids))
        if over:
            self.text.end()
        elif self.left():
            self.handle.stop()
            return False
        return not over


def packed_of(request: Load) -> Path:
    """The GGUF file of a checkpoint.

    Raises:
        WeightsError: there is none.
    """
    folder = request.folders[request.spec.key]
    found = next(iter(sorted(folder.glob("*.gguf"))), None)
    if found is None:
        raise WeightsError(f"{request.spec.title} has no weights in {folder}: it needs a .gguf file there.")
    return found


def is_exact(request: Load, packed: Path) -> bool:
    """Whether the weights are to be those of the file, or rounded to whole steps, which `int4` stands for.

    Raises:
        Unsupported: no graph can be made of this file.
    """
    if not gguf_graph.readable(packed):
        raise Unsupported(
            f"{request.spec.title} is a GGUF file that OpenVINO cannot run without loss: choose bf16 or fp32 for it."
        )
    return request.quantization != "int4"


def context_of(packed: Path) -> int:
    """Tokens of prompt and answer together that the model was trained for."""
    return headers.gguf(packed).trait("context_length", 2048)


def cache_of(header: Header, tokens: int) -> int:
    """Bytes of the key-value cache: 16 bits a number."""
    heads = header.trait("attention.head_count", 1) or 1
    width = header.trait("embedding_length", 0) // heads
    kept = header.trait("attention.head_count_kv", heads)
    return 4 * header.trait("block_count", 1) * kept * width * tokens

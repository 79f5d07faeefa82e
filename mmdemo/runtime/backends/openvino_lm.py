"""Language models on a CPU through `openvino-genai`: GGUF files of Llama and Qwen kinds. No torch is imported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mmdemo import private_openvino
from mmdemo.errors import StudioError, Unsupported, WeightsError
from mmdemo.folders import bytes_in
from mmdemo.runtime.backends import gguf_graph
from mmdemo.runtime.backends.talking import PENALTY, no_template, too_long
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.handover import threaded

TOKENS = 1024
"""Tokens of the conversation whose cache is counted on."""


class OpenVinoLMBackend:
    """A `Talker`: a decoder-only language model with a chat template."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = "cpu"
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
                # the paged attention that is the default answers tokens, as against text, with another text's words
                "ATTENTION_BACKEND": "SDPA",
            }
            if exact:  # 8-bit inputs would tip the choice between two words that are nearly as likely
                how["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
            return private_openvino.genai().LLMPipeline(str(folder), "CPU", **how)

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
        self.room = context_of(packed)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory: the graph, a copy in the order it computes in, the embedding as float32."""
        packed = packed_of(request)
        exact = is_exact(request, packed)
        graph = gguf_graph.folder_of(packed, exact)
        size = bytes_in(graph) if gguf_graph.is_made(packed, exact) else packed.stat().st_size
        from gguf import GGUFReader

        reader = GGUFReader(packed)
        embedding = next((int(one.n_elements) for one in reader.tensors if one.name == "token_embd.weight"), 0)
        parameters = sum(int(one.n_elements) for one in reader.tensors)
        parts = (Part("layers", parameters - embedding, 2 * size), Part("token_embd", embedding, 4 * embedding))
        return Estimate(
            parts, cache=cache_of(reader, TOKENS), tokens=TOKENS, dtype="as in the file" if exact else "int4"
        )

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come, greedily; closing the iterator stops the model at its next token.

        Raises:
            Unsupported: if the checkpoint has no chat template, or the messages leave no room for an answer.
        """
        genai = private_openvino.genai()
        if not self._tokenizer.chat_template:
            raise no_template(self.spec)
        prompt = self._tokenizer.apply_chat_template(genai.ChatHistory(list(messages)), add_generation_prompt=True)
        given = self._tokenizer.encode(prompt, add_special_tokens=False)
        room = self.room - given.input_ids.shape[1]
        if room < 1:
            raise too_long(self.spec, room)
        how = genai.GenerationConfig()
        how.max_new_tokens = min(max_tokens, room)
        how.do_sample = False
        how.repetition_penalty = PENALTY
        ends = self._tokenizer.get_eos_token_id()
        how.eos_token_id = ends
        how.stop_token_ids = {ends}
        stop = threading.Event()

        def run(give: Callable[[str], None]) -> None:
            def piece(text: str) -> Any:
                give(text)
                return genai.StreamingStatus.CANCEL if stop.is_set() else genai.StreamingStatus.RUNNING

            self._pipeline.generate(given, how, piece)

        with closing(threaded(run, "generate", stop.set)) as running:
            yield from (text for text in running if text)

    def close(self) -> None:
        """Free the memory."""
        self._pipeline = self._tokenizer = None


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
    from gguf import GGUFReader

    return number(GGUFReader(packed), "context_length", 2048)


def cache_of(reader: Any, tokens: int) -> int:
    """Bytes of the key-value cache: 8 bits a number, which is how OpenVINO keeps it on a CPU."""
    heads = number(reader, "attention.head_count", 1)
    width = number(reader, "embedding_length", 0) // heads
    return 2 * number(reader, "block_count", 1) * number(reader, "attention.head_count_kv", heads) * width * tokens


def number(reader: Any, name: str, default: int) -> int:
    """A whole number of the file's description of its architecture."""
    kind = reader.get_field("general.architecture")
    field = reader.get_field(f"{kind.contents()}.{name}") if kind else None
    return int(field.contents()) if field else default

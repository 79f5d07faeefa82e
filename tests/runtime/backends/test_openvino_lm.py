"""The starter language model on a CPU: the file's own weights, in an OpenVINO graph, without torch."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog, private_openvino, torchvision_ops
from mmdemo.errors import Cancelled, Unsupported, WeightsError
from mmdemo.runtime import backends
from mmdemo.runtime.backends import gguf_graph
from mmdemo.runtime.backends.causal_lm import CausalLMBackend
from mmdemo.runtime.backends.openvino_lm import OpenVinoLMBackend
from mmdemo.runtime.base import Converser, Load, Talk, Talker
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

SPEC = catalog.get("smollm2-135m-instruct")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TEXT = (
    "The river begins in the mountains and flows through three countries before it reaches the sea. In spring, when "
    "the snow melts, it floods the meadows on both sides, and the farmers move their animals to higher ground. Boats "
    "carry grain, coal and people between the towns. In the last century two bridges and a dam were built, and since "
    "then the water has been lower in summer, so that children can wade across it near the old mill."
)

pytestmark = pytest.mark.weights


def request(folder: Path, quantization: str = "auto", **more: object) -> Load:
    return Load(SPEC, {SPEC.key: folder}, "cpu", 2, quantization=quantization, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing but the GGUF file."""
    folder = tmp_path_factory.mktemp("smollm")
    (folder / "model.gguf").symlink_to(fetch(SPEC, Settings.load()) / "model.gguf")
    return folder


@pytest.fixture(scope="module")
def talker(folder: Path) -> OpenVinoLMBackend:
    loaded = backends.load(request(folder))
    assert isinstance(loaded, OpenVinoLMBackend), "the engine that measured best on a CPU is the default"
    return loaded


def test_it_knows_the_capital_of_france_and_streams(talker: OpenVinoLMBackend) -> None:
    assert isinstance(talker, Talker)
    pieces = list(talker.talk(QUESTION, max_tokens=40))
    assert "".join(pieces) == "The capital of France is Paris."
    assert len(pieces) >= 4


def test_the_graph_is_made_once_and_nothing_half_made_is_left(
    talker: OpenVinoLMBackend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gguf_graph.is_made(folder / "model.gguf", True)
    assert not list(folder.glob(".openvino-*"))
    monkeypatch.setattr(gguf_graph, "make", lambda *given: pytest.fail("made again"))
    again = OpenVinoLMBackend(request(folder))
    assert "".join(again.talk(QUESTION, max_tokens=40)) == "The capital of France is Paris."
    again.close()


def test_another_file_in_its_place_is_noticed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes((folder / "model.gguf").read_bytes()[:1000])
    made = gguf_graph.folder_of(tmp_path / "model.gguf", True)
    made.mkdir()
    (made / gguf_graph.NOTE).write_text(gguf_graph.identity(folder / "model.gguf"))
    assert not gguf_graph.is_made(tmp_path / "model.gguf", True)


def test_closing_the_answer_stops_the_model(talker: OpenVinoLMBackend) -> None:
    answer = talker.talk([{"role": "user", "content": "Write a long story about a dog."}], max_tokens=400)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "generate"]
    assert "".join(talker.talk(QUESTION, max_tokens=40)) == "The capital of France is Paris."


def test_it_says_no_more_than_asked_and_refuses_what_leaves_no_room(talker: OpenVinoLMBackend) -> None:
    assert len("".join(talker.talk([{"role": "user", "content": "Tell me a story."}], max_tokens=8)).split()) <= 8
    with pytest.raises(Unsupported, match="shorten the text by"):
        next(talker.talk([{"role": "user", "content": "dog " * 9000}], max_tokens=8))


def losses(folder: Path, exact: bool) -> float:
    """Mean negative log likelihood of a text, in nats a token."""
    tokens = _tokens(folder)
    graph = (
        private_openvino.load()
        .Core()
        .compile_model(
            gguf_graph.folder_of(folder / "model.gguf", exact) / "openvino_model.xml",
            "CPU",
            {"INFERENCE_PRECISION_HINT": "f32"},
        )
    )
    run = graph.create_infer_request()
    count = len(tokens)
    run.infer(
        {
            "input_ids": tokens[None],
            "attention_mask": np.ones((1, count), np.int64),
            "position_ids": np.arange(count)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    return _loss(run.get_output_tensor(0).data[0], tokens)


def _loss(logits: np.ndarray, tokens: np.ndarray) -> float:
    shifted = logits - logits.max(-1, keepdims=True)
    likely = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(-likely[np.arange(len(tokens) - 1), tokens[1:]].mean())


def _tokens(folder: Path) -> np.ndarray:
    tokenizer = private_openvino.genai().Tokenizer(str(gguf_graph.folder_of(folder / "model.gguf", True)))
    return np.asarray(tokenizer.encode(TEXT).input_ids.data)[0].astype(np.int64)


def test_the_weights_are_the_files_own_and_rounded_ones_are_worse(talker: OpenVinoLMBackend, folder: Path) -> None:
    import torch

    torchvision_ops.prepare()
    rounded = OpenVinoLMBackend(request(folder, "int4"))
    assert "Paris" in "".join(rounded.talk(QUESTION, max_tokens=40))
    rounded.close()
    reference = CausalLMBackend(request(folder, "fp32"))
    tokens = _tokens(folder)
    assert reference._tokenizer(TEXT)["input_ids"] == tokens.tolist(), "both engines read the same tokens"
    with torch.inference_mode():
        exact = _loss(reference._model(torch.from_numpy(tokens)[None]).logits[0].float().numpy(), tokens)
    own, rough = losses(folder, True), losses(folder, False)
    assert math.isclose(own, exact, abs_tol=0.02), (own, exact)
    assert rough > exact + 0.05, "which is why it is not the default"


def test_it_answers_without_torch(talker: OpenVinoLMBackend, folder: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom mmdemo import catalog\nfrom mmdemo.runtime import backends\n"
        "from mmdemo.runtime.base import Load\n"
        f"key, folder = {SPEC.key!r}, Path({str(folder)!r})\n"
        "loaded = backends.load(Load(catalog.get(key), {key: folder}, 'cpu', 1))\n"
        "said = ''.join(loaded.talk([{'role': 'user', 'content': 'What is the capital of France?'}], max_tokens=20))\n"
        "print(said, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "The capital of France is Paris. False", done.stderr


def test_loading_stops_when_the_user_does_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(folder / "model.gguf")
    with pytest.raises(Cancelled):
        OpenVinoLMBackend(request(tmp_path, cancelled=lambda: True))
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_whole_weights_are_a_matter_of_the_other_engine(folder: Path) -> None:
    assert isinstance(backends.load(request(folder, "bf16")), CausalLMBackend)


def test_a_folder_without_a_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"it needs a \.gguf file there"):
        OpenVinoLMBackend(request(tmp_path))


def test_the_estimate_is_near_what_it_takes(folder: Path, talker: OpenVinoLMBackend) -> None:
    estimated = backends.estimate(request(folder)).total
    script = (
        "import gc, psutil\nfrom pathlib import Path\nfrom mmdemo import catalog\n"
        "from mmdemo.runtime import backends, memory\nfrom mmdemo.runtime.base import Load\n"
        f"key = {SPEC.key!r}\nrequest = Load(catalog.get(key), {{key: Path({str(folder)!r})}}, 'cpu', 2)\n"
        "def load():\n"
        "    loaded = backends.load(request)\n"
        "    list(loaded.talk([{'role': 'user', 'content': 'dog ' * 4000}], max_tokens=40))\n"
        "    return loaded\n"
        "load().close()\ngc.collect()\nmemory.give_back()\nbefore = psutil.Process().memory_info().rss\nkept = load()\n"
        "gc.collect()\nmemory.give_back()\nprint(psutil.Process().memory_info().rss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    taken = int(done.stdout)
    assert 0.9 <= estimated / taken <= 1.1, (estimated / 1e6, taken / 1e6)


STORY = [{"role": "user", "content": f"A picture shows a {name} on a beach. What happens next?"} for name in
         ("dog", "cat", "boat", "horse")]  # fmt: skip


def test_conversations_go_on_together_and_each_says_what_it_says_alone(talker: OpenVinoLMBackend) -> None:
    assert isinstance(talker, Converser)
    alone = ["".join(talker.talk([message], max_tokens=24)) for message in STORY]
    pieces = list(talker.converse([Talk([message], 24 - number) for number, message in enumerate(STORY)]))
    together = ["".join(piece for place, piece in pieces if place == number) for number in range(4)]
    assert together[0] == alone[0]
    assert all(whole.startswith(part) and part for part, whole in zip(together, alone, strict=True))
    assert [place for place, _ in pieces] != sorted(place for place, _ in pieces), "they grow side by side"


def test_one_conversation_that_nobody_wants_any_more_ends_and_the_others_go_on(talker: OpenVinoLMBackend) -> None:
    whole = "".join(talker.talk([STORY[1]], max_tokens=24))
    said: list[list[str]] = [[], []]
    talks = [Talk([STORY[0]], 500, left=lambda: len(said[0]) >= 3), Talk([STORY[1]], 24)]
    for place, piece in talker.converse(talks):
        said[place].append(piece)
    assert 3 <= len(said[0]) < 20
    assert "".join(said[1]) == whole


def test_what_was_read_before_is_not_read_again_and_the_words_are_the_same(folder: Path) -> None:
    long = "The dog ran along the beach and met a cat. " * 150
    asked = [[{"role": "user", "content": long + question}] for question in ("Who ran?", "Who was met?")]
    fresh = []
    for messages in asked:
        new = backends.load(request(folder))
        fresh.append("".join(new.talk(messages, max_tokens=12)))  # type: ignore[attr-defined]
        new.close()
    backend = backends.load(request(folder))
    times, answers = [], []
    for messages in asked:
        begun = time.monotonic()
        answer = backend.talk(messages, max_tokens=12)  # type: ignore[attr-defined]
        first = next(answer)
        times.append(time.monotonic() - begun)
        answers.append(first + "".join(answer))
    backend.close()
    assert answers == fresh
    assert times[0] / times[1] >= 3, times

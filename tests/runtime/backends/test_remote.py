"""Models on a server: what is sent is what they get, what they write arrives, what goes wrong is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, remote_rows, torchvision_ops
from mmdemo.catalog import Remote
from mmdemo.errors import Cancelled, ServerFailed, Unreachable
from mmdemo.runtime.backends import quantized
from mmdemo.runtime.backends.image_text import ImageTextBackend
from mmdemo.runtime.backends.remote import RemoteBackend
from mmdemo.runtime.base import RATE, Clip, Describer, Hearing, Load, Patient, Talker, Transcriber
from tests import openai_server
from tests.openai_server import BROKEN, HELD, SILENT, UNENDED, Serving
from tests.runtime.backends.tiny_vision import smolvlm

EYE = catalog.get("smolvlm2-256m")
KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageTextBackend]:
    """A tiny SmolVLM, which the server runs."""
    torchvision_ops.prepare()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("smolvlm")
    smolvlm(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantized, "best_dtype", lambda device: torch.float32)
        yield ImageTextBackend(Load(EYE, {EYE.key: folder}, "cpu", 1))


class Parrot:
    """A language model that says each word of the last message, and nothing by itself."""

    def talk(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        for word in messages[-1]["content"].split()[:max_tokens]:
            yield f"{word} "


@pytest.fixture
def server(eye: ImageTextBackend) -> Iterator[Serving]:
    with openai_server.serving(eye=eye, tongue=Parrot()) as state:
        yield state


def backend(server: Serving, **source: object) -> RemoteBackend:
    spec = remote_rows.row("remote:tiny", replace(Remote(server.address, "tiny", seconds=20), **source))  # type: ignore[arg-type]
    return RemoteBackend(Load(spec, {}, "cpu", 1))


def pictures(count: int) -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(count)]


def ask(model: RemoteBackend) -> str:
    return "".join(model.talk([{"role": "user", "content": "one two three"}], max_tokens=9))


def test_a_picture_is_described_by_the_servers_model_and_the_words_stream(
    server: Serving, eye: ImageTextBackend
) -> None:
    model = backend(server)
    assert isinstance(model, Describer) and isinstance(model, Talker) and isinstance(model, Transcriber)
    assert isinstance(model, Patient)
    image = pictures(1)[0]
    seen = list(model.describe([image], style="sentence", question="", max_words=12))
    got = server.pictures[0][0]
    assert got.size == image.size
    assert np.abs(np.asarray(got, int) - np.asarray(image, int)).mean() < 12, "it is this picture, as a JPEG"
    prompt = server.asked[-1][2]["messages"][0]["content"][1]["text"]
    expected = [one.text for one in eye.describe([got], style="sentence", question=prompt, max_words=6) if one.done]
    assert [one.text for one in seen if one.done] == expected and len(expected[0]) > 3
    assert len(seen) > 3, "it streams"
    assert model.device == server.address.split("/")[2]


def test_several_pictures_are_asked_about_at_the_same_time_and_each_ends_once(server: Serving) -> None:
    seen = list(backend(server).describe(pictures(5), style="tags", question="", max_words=8))
    assert sorted(one.index for one in seen if one.done) == [0, 1, 2, 3, 4]
    assert len(server.pictures) == 5 and all(len(one) == 1 for one in server.pictures)
    prompts = {body["messages"][0]["content"][1]["text"] for path, _, body in server.asked if "chat" in path}
    assert len(prompts) == 1 and "tags" in prompts.pop()


@pytest.mark.parametrize(("video", "parts"), [("images", 4), ("video_url", 1)])
def test_the_frames_of_a_video_arrive_in_order(server: Serving, video: str, parts: int) -> None:
    frames = [Image.new("RGB", (32, 32), (shade, shade, shade)) for shade in (0, 80, 160, 240)]
    answer = "".join(backend(server, video=video).watch(frames, question="What happens?", max_words=4))
    assert answer
    content = server.asked[-1][2]["messages"][0]["content"]
    assert len(content) == parts + 1 and content[-1] == {"type": "text", "text": "What happens?"}
    shades = [round(float(np.asarray(frame).mean())) for frame in server.pictures[0]]
    assert shades == pytest.approx([0, 80, 160, 240], abs=2)


def test_a_language_model_answers_in_pieces(server: Serving) -> None:
    pieces = list(backend(server).talk([{"role": "user", "content": "das ist schön"}], max_tokens=9))
    assert pieces == ["das ", "ist ", "schön "]


class Ear:
    """Hears a segment for each half of a recording; its words are how loud it is."""

    def transcribe(self, clips: list[Clip], hearing: Hearing) -> Iterator[object]:
        from mmdemo.results import Segment, Word
        from mmdemo.runtime.base import Heard

        for clip in clips:
            half = len(clip.samples) / RATE / 2
            for number in (0, 1):
                part = clip.samples[int(number * half * RATE) : int((number + 1) * half * RATE)]
                loud = f"{np.abs(part).max():.1f}"
                words = (Word(number * half, number * half + 0.1, loud, 1.0),) if hearing.words else ()
                yield Heard(Segment(number * half, (number + 1) * half, loud, words=words))


def clip(first: float, second: float, start: float = 0.0, source: int = 0) -> Clip:
    return Clip(np.repeat(np.array([first, second], np.float32), RATE), start, source)


def test_recordings_are_heard_with_the_servers_times_from_where_each_clip_begins(server: Serving) -> None:
    server.ear = Ear()  # type: ignore[assignment]
    clips = [clip(0.1, 0.2), clip(0.3, 0.4, start=60.0), clip(0.5, 0.6, source=1)]
    heard = list(backend(server).transcribe(clips, Hearing(words=True)))
    assert [(one.source, one.segment.start, one.segment.end, one.segment.text) for one in heard] == [
        (0, 0.0, 1.0, "0.1"), (0, 1.0, 2.0, "0.2"), (0, 60.0, 61.0, "0.3"), (0, 61.0, 62.0, "0.4"),
        (1, 0.0, 1.0, "0.5"), (1, 1.0, 2.0, "0.6"),
    ]  # fmt: skip
    assert [word.start for one in heard for word in one.segment.words] == [0.0, 1.0, 60.0, 61.0, 0.0, 1.0]
    assert {one.language for one in heard} == {"en"}
    sent = {round(float(samples[0]), 2): samples for samples in server.sounds}
    assert np.allclose(sent[0.3], clips[1].samples, atol=1e-4), "16 bits of each sample"


def test_a_server_without_times_is_asked_for_the_words_alone_from_then_on(server: Serving) -> None:
    server.ear, server.timed = Ear(), False  # type: ignore[assignment]
    model = backend(server)
    for _ in range(2):
        heard = list(model.transcribe([clip(0.1, 0.2, start=5.0)], Hearing(language="de")))
        assert [(one.segment.start, one.segment.end, one.segment.text) for one in heard] == [(5.0, 7.0, "0.1 0.2")]
        assert heard[0].language == "de"
    forms = [body["response_format"] for path, _, body in server.asked if "audio" in path]
    assert forms == ["verbose_json", "json", "json"]


def test_a_model_that_hears_in_a_chat_gets_the_sound_as_a_part_of_the_message(server: Serving) -> None:
    server.ear = Ear()  # type: ignore[assignment]
    heard = list(backend(server, hears="chat").transcribe([clip(0.1, 0.7, start=3.0)], Hearing()))
    assert [(one.segment.start, one.segment.end, one.segment.text) for one in heard] == [(3.0, 5.0, "0.1 0.7")]
    kinds = [part["type"] for part in server.asked[-1][2]["messages"][0]["content"]]
    assert kinds == ["input_audio", "text"]


def test_the_key_goes_into_the_header_and_nowhere_else(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = KEY
    monkeypatch.setenv("MY_SERVER_KEY", KEY)
    assert ask(backend(server, variable="MY_SERVER_KEY")) == "one two three "
    assert {header for _, header, _ in server.asked} == {f"Bearer {KEY}"}
    assert KEY not in str([body for _, _, body in server.asked])


def test_a_server_that_is_not_there_is_named(free_port: int) -> None:
    spec = remote_rows.row("remote:x", Remote(f"http://127.0.0.1:{free_port}/v1", "x"))
    with pytest.raises(
        Unreachable, match=rf"The server 127\.0\.0\.1:{free_port} cannot be reached: check that it runs"
    ):
        RemoteBackend(Load(spec, {}, "cpu", 1))


FAULTS = {
    "a bad key": ((401, {}, b'{"error": {"message": "Incorrect API key provided: %s"}}' % KEY.encode()),
                  "refuses the key in MY_SERVER_KEY (status 401): check it."),
    "busy": ((429, {"Retry-After": "7"}, b"{}"), "has too many requests and asks to wait 7 s: try again then."),
    "busier": ((429, {}, b"no"), "has too many requests just now: try again later."),
    "out of order": ((503, {}, b"<html>"), "is out of order (status 503): look at its log, and try again."),
    "refused": ((400, {}, b'{"error": {"message": "tiny sees\\nno pictures, %s"}}' % KEY.encode()),
                "does not take this for tiny (tiny sees no pictures, …): choose a model that can do it"),
    "elsewhere": ((302, {"Location": "http://127.0.0.1:9/"}, b""), "is not OpenAI's protocol"),
    "a page": ((200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"), "is not OpenAI's protocol"),
    "nonsense": ((200, {"Content-Type": "text/event-stream"}, b"data: {half\n\n"), "is not OpenAI's protocol"),
    "a list": ((200, {"Content-Type": "text/event-stream"}, b"data: []\n\n"), "is not OpenAI's protocol"),
    "one long line": ((200, {"Content-Type": "text/event-stream"}, b"x" * (9 << 20)), "is not OpenAI's protocol"),
    "no gzip": ((200, {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}, b"plain"),
                "is not OpenAI's protocol"),
    "an error inside": ((200, {"Content-Type": "text/event-stream"},
                         b'data: {"error": {"message": "CUDA out of memory"}}\n\n'),
                        "ended the answer with an error (CUDA out of memory): look at its log"),
    "broken": (BROKEN, "broke off in the middle of an answer: try again."),
    "ended early": (UNENDED, "broke off in the middle of an answer: try again."),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_server_does_is_told_in_a_sentence_without_the_key(
    server: Serving, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER_KEY", KEY)
    model = backend(server, variable="MY_SERVER_KEY")
    server.faults["chat/completions"], words = FAULTS[fault]
    with pytest.raises(ServerFailed) as told:
        ask(model)
    assert words in str(told.value) and str(told.value).count(". ") == 0
    assert KEY not in str(told.value)
    server.faults.clear()
    assert ask(model) == "one two three ", "and the next request is answered"


def test_a_model_that_the_server_does_not_have_is_told_with_those_that_it_has(server: Serving) -> None:
    server.models = ("small", "large")
    with pytest.raises(ServerFailed, match="has no model 'tiny'; it has: small, large"):
        ask(backend(server))


def test_a_server_that_wants_a_key_says_how_to_name_it(server: Serving) -> None:
    server.key = KEY
    with pytest.raises(ServerFailed, match=rf"wants a key: .* MMDEMO_REMOTES={server.address}=VARIABLE"):
        backend(server)


@pytest.mark.parametrize("value", ["", "two words", "ключ", "line\nbreak"])
def test_a_variable_without_a_key_is_named_and_what_it_holds_is_not(
    server: Serving, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER_KEY", value)
    with pytest.raises(ServerFailed, match="environment variable MY_SERVER_KEY") as told:
        backend(server, variable="MY_SERVER_KEY")
    assert not value or value not in str(told.value)
    assert server.asked == []


def test_a_server_that_is_silent_for_too_long_has_failed(server: Serving) -> None:
    model = backend(server, seconds=0.3)
    server.faults["chat/completions"] = SILENT
    with pytest.raises(ServerFailed, match=r"has sent nothing for 0\.3 s: look at its log, or raise MMDEMO_REMOTE"):
        ask(model)
    assert server.left.wait(5)


@pytest.mark.parametrize("how", [HELD, SILENT])
def test_stop_ends_a_request_within_a_second_and_hangs_up(server: Serving, how: tuple[int, dict, bytes]) -> None:  # type: ignore[type-arg]
    stop = threading.Event()
    model = backend(server).heeding(stop.is_set)
    server.faults["chat/completions"] = how
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model)
    assert time.monotonic() - begun < 1.3
    assert server.left.wait(5), "the connection is closed"
    assert not [thread for thread in threading.enumerate() if thread.name == "remote"]


def test_a_reader_who_leaves_hangs_up(server: Serving) -> None:
    model = backend(server)
    server.faults["chat/completions"] = HELD
    answer = model.talk([{"role": "user", "content": "x"}], max_tokens=9)
    assert next(answer) == "one "
    answer.close()  # type: ignore[attr-defined]
    assert server.left.wait(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "remote"]


def test_proxies_are_not_asked_for_this_machine(
    server: Serving, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    assert ask(backend(server)) == "one two three "

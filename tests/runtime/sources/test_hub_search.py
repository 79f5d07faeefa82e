"""Searching the Hub: what an engine here runs, the most downloaded first; one repository is looked at exactly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mmdemo.errors import Cancelled, Unreachable, WeightsError
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress, hub_ask, hub_find
from mmdemo.runtime.sources.hub_find import Found, Wanted
from mmdemo.settings import Settings
from tests.loopback import Served

Publish = Callable[..., None]
SEES, HEARS = "image-text-to-text", "automatic-speech-recognition"


@pytest.fixture(autouse=True)
def several(hub: Publish, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub with models for several tasks, of which two are of no use here."""
    Manager(settings)
    monkeypatch.setattr(hub_ask, "PAUSES", (0.01,) * 3)
    kinds = {"parameters": {"BF16": 1_000_000, "F32": 1000}, "total": 1_001_000}
    hub("a/tiny-eyes", {}, pipeline_tag=SEES, downloads=50, likes=7, library_name="transformers", safetensors=kinds,
        tags=["license:apache-2.0", "gguf"], gated="manual")  # fmt: skip
    hub("b/tiny-ears", {}, pipeline_tag=HEARS, downloads=900, library_name="ctranslate2")
    hub("c/tiny-talk", {}, pipeline_tag="text-generation", downloads=20, tags=["gguf"], gguf={"total": 5_000_000})
    hub("d/tiny-segments", {}, pipeline_tag="image-segmentation", downloads=10_000, library_name="transformers")
    hub("e/tiny-mlx", {}, pipeline_tag=SEES, downloads=10_000, library_name="mlx")
    hub("tiny-without-an-owner", {}, pipeline_tag=SEES, downloads=10_000)
    hub("f/huge-eyes", {}, pipeline_tag=SEES, downloads=70, library_name="transformers")


def search(words: str, tasks: tuple[str, ...], settings: Settings, *report: Any, **more: Any) -> list[Found]:
    return hub_find.search(Wanted(words, tasks), settings, *report, **more)


def keys(found: list[Found]) -> list[str]:
    return [one.key for one in found]


def test_the_most_downloaded_come_first_and_what_does_not_run_here_is_left_out(settings: Settings) -> None:
    assert keys(search("tiny", (), settings)) == ["hub:b/tiny-ears", "hub:a/tiny-eyes", "hub:c/tiny-talk"]
    assert keys(search("tiny", (), settings, limit=1)) == ["hub:b/tiny-ears"]


def test_a_result_says_what_one_wants_to_know_before_a_download(settings: Settings) -> None:
    (found,) = search("tiny", ("describe",), settings)
    assert found == Found("hub:a/tiny-eyes", "a/tiny-eyes", "describe", "apache-2.0", 50, 7, True, 1_001_000, 2_004_000)
    (found,) = search("TINY-talk", (), settings)
    assert (found.task, found.parameters, found.bytes, found.licence, found.gated) == ("talk", 5_000_000, 0, "", False)


def test_a_task_keeps_the_others_out(settings: Settings) -> None:
    assert keys(search("", ("describe",), settings)) == ["hub:f/huge-eyes", "hub:a/tiny-eyes"]
    assert keys(search("tiny", ("transcribe", "talk"), settings)) == ["hub:b/tiny-ears", "hub:c/tiny-talk"]
    assert search("no such words", (), settings) == []


def test_a_licence_and_a_size_keep_the_others_out(settings: Settings) -> None:
    assert keys(hub_find.search(Wanted("", licence="apache-2.0"), settings)) == ["hub:a/tiny-eyes"]
    assert keys(hub_find.search(Wanted("", billions=1), settings)) == ["hub:a/tiny-eyes"]
    assert hub_find.search(Wanted("", billions=0.001), settings) == []


def test_a_key_is_looked_at_with_a_result_for_each_gguf_file(hub: Publish, settings: Settings) -> None:
    files = {f"x.Q{bits}.gguf": b"g" * bits * 1000 for bits in (4, 8)}
    hub("g/x-gguf", files, pipeline_tag="text-generation", downloads=3, likes=2, cardData={"license": "mit"})
    found = search(" hub:g/x-gguf ", (), settings)
    assert [(one.key, one.bytes) for one in found] == [
        ("hub:g/x-gguf/x.Q4.gguf", 4000), ("hub:g/x-gguf/x.Q8.gguf", 8000),
    ]  # fmt: skip
    assert {(one.task, one.licence, one.downloads, one.likes) for one in found} == {("talk", "mit", 3, 2)}
    hub("g/pickled", {"pytorch_model.bin": b"p"})
    with pytest.raises(WeightsError, match="pickled has its weights in a pickle file"):
        search("hub:g/pickled", (), settings)
    assert not list(settings.models_folder.glob("hub--*")), "a look at results keeps nothing"


def test_offline_nothing_is_asked(served: Served, settings: Settings) -> None:
    offline = Settings(home=settings.home, offline=True)
    with pytest.raises(Unreachable, match="The Hub is not searched, because MMDEMO_OFFLINE keeps the studio on this"):
        search("tiny", (), offline)
    assert not served.asked


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (429, {"Retry-After": "900"}, "too many requests from here and asks to wait 900 s"),
        (500, {}, r"the Hub is out of order \(status 500\): try again later"),
        (401, {}, "it refuses the token in HF_TOKEN"),
    ],
)
def test_why_the_hub_cannot_be_searched(
    status: int, headers: dict[str, str], said: str, served: Served, settings: Settings
) -> None:
    served.refused["/api/models"] = (status, headers)
    with pytest.raises(Unreachable, match=f"The Hub could not be searched.*{said}"):
        search("tiny", (), settings)


def test_a_hub_that_stumbles_is_asked_again(served: Served, settings: Settings) -> None:
    served.failing["/api/models"] = [(500, {}), (429, {"Retry-After": "1"})]
    steps: list[Progress] = []
    assert keys(search("ears", (), settings, steps.append)) == ["hub:b/tiny-ears"]
    assert {"Searching the Hub", "Asking the Hub again in 1 s"} <= {step.stage for step in steps}


def test_a_hub_that_is_not_there_is_told_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub_ask, "PAUSES", (60.0,) * 3)
    begun = time.monotonic()
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 does not answer; connect to the network, or let HF_"):
        search("tiny", (), settings)
    assert time.monotonic() - begun < 30


def test_a_search_can_be_stopped(served: Served, settings: Settings) -> None:
    with pytest.raises(Cancelled, match="The search was stopped"):
        search("tiny", (), settings, cancelled=lambda: True)

"""A model on a server as one of the studio's: described with, listed, added, offline, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmdemo.errors import ServerFailed, UnknownName, Unreachable
from mmdemo.results import Description
from mmdemo.runtime.base import Seen
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.ui import panels
from mmdemo.ui.tabs.models import Models
from tests import openai_server
from tests.openai_server import HELD, Serving
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

SAMPLE = sorted((Path(__file__).parents[1] / "assets" / "samples").glob("*.jpg"))[0]
KEY = "sk-secret-9876543210"


class Eye:
    """Says how wide a picture is, word by word."""

    def describe(self, images: list[Any], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        for index, image in enumerate(images):
            yield Seen(index, f"{image.width}")
            yield Seen(index, f"{image.width} pixels.", done=True)


@pytest.fixture
def server() -> Iterator[Serving]:
    with openai_server.serving(eye=Eye(), models=("tiny-vl", "whisper-tiny")) as state:
        yield state


@pytest.fixture
def studio(tmp_path: Path, server: Serving, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("BOX_KEY", KEY)
    server.key = KEY
    made = Studio(Settings(home=str(tmp_path), device="cpu", offline=True, remotes=f"{server.address}=BOX_KEY"))
    yield made
    made.close()


def described(studio: Studio, key: str, **options: Any) -> list[Description]:
    events = studio.run("describe", [SAMPLE], {"model": key, "read_text": "no", **options})
    return [event for event in events if isinstance(event, Description)]


def test_offline_a_server_on_this_machine_describes_and_nothing_is_kept_of_it(
    studio: Studio, server: Serving, tmp_path: Path
) -> None:
    key = f"remote:tiny-vl@{server.address}"
    results = described(studio, key)
    assert [one.text for one in results if one.done] == ["640 pixels."] or results[-1].text.endswith("pixels.")
    assert results[-1].provenance.device == server.address.split("/")[2], "where the picture went is said"
    assert results[-1].provenance.model == key
    assert studio.status().loaded == (key,)
    assert KEY not in str(results)
    assert KEY not in "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())
    studio.unload(key)
    assert studio.status().loaded == ()


def test_offline_another_machine_is_not_asked(studio: Studio) -> None:
    with pytest.raises(Unreachable, match=r"m runs on gpu-box\.invalid:1, and MMDEMO_OFFLINE keeps"):
        described(studio, "remote:m@http://gpu-box.invalid:1/v1")
    with pytest.raises(Unreachable, match=r"gpu-box\.invalid is another machine, and MMDEMO_OFFLINE"):
        list(studio.served("http://gpu-box.invalid/v1"))


def test_a_server_is_asked_for_its_models_and_one_is_added(studio: Studio, server: Serving) -> None:
    *progress, keys = studio.served(server.address + "/")
    assert all(isinstance(one, Progress) for one in progress)
    assert keys == [f"remote:tiny-vl@{server.address}", f"remote:whisper-tiny@{server.address}"]
    assert studio.declare(keys[0]).key == "remote:tiny-vl"
    rows = {row.spec.key: row for row in studio.rows()}
    assert rows["remote:tiny-vl"].cached and rows["remote:tiny-vl"].disk == 0
    assert described(studio, "remote:tiny-vl")[-1].text.endswith("pixels.")
    html = panels.models(list(rows.values()), True, "en")
    assert "On servers that you added" in html and "○ on its server" in html and 'aria-label="Load tiny-vl"' in html
    assert studio.remove("remote:tiny-vl") == 0
    assert "remote:tiny-vl" not in {row.spec.key for row in studio.rows()}


def test_one_that_is_removed_while_it_is_chosen_breaks_no_page(tmp_path: Path, server: Serving) -> None:
    studio = Studio(Settings(home=str(tmp_path / "other"), device="cpu"))
    key = studio.declare(f"remote:tiny-vl@{server.address}").key
    assert "tiny-vl" in panels.header(studio.status(), [key, "whisper-base"], "en")
    studio.remove(key)
    assert "tiny-vl" not in panels.header(studio.status(), [key, "whisper-base"], "en")
    with pytest.raises(UnknownName, match="no model on a server 'remote:tiny-vl'"):
        described(studio, key)
    studio.close()


def test_the_address_of_another_server_gets_no_key(studio: Studio, server: Serving) -> None:
    with openai_server.serving() as other:
        list(studio.served(other.address))
        assert [key for _, key, _ in other.asked] == [""]


def test_a_question_that_is_stopped_hangs_up(studio: Studio, server: Serving) -> None:
    import threading
    import time

    server.faults["chat/completions"] = HELD
    stop = threading.Event()
    events = studio.run("describe", [SAMPLE], {"model": f"remote:tiny-vl@{server.address}", "read_text": "no"}, stop)
    assert next(event for event in events if isinstance(event, Description)).text == "one "
    begun = time.monotonic()
    stop.set()
    assert not [event for event in events if isinstance(event, Description) and event.done]
    assert time.monotonic() - begun < 1
    assert server.left.wait(5)


def test_the_page_lists_a_servers_models_and_adds_one(studio: Studio, server: Serving) -> None:
    tab = placed(Models, studio)
    assert tab.servers.address.value == server.address, "the settings' server is there already"
    _, shown = all_of(tab.servers.find(server.address, REQUEST))
    found, html = shown[tab.servers.found], shown[tab.servers.results]
    assert 'aria-label="Add tiny-vl"' in html and "2 found" in shown[tab.servers.bench.status]
    import gradio as gr

    pressed = gr.EventData(None, {"value": found[0], "action": "add"})
    _, shown = all_of(tab.add(found, pressed, CHINESE))
    assert "已添加 tiny-vl" in shown[tab.servers.bench.status]
    assert 'data-mm-model="remote:tiny-vl"' in shown[tab.table]
    assert "已添加" in shown[tab.servers.results] and KEY not in str(shown)
    strange = gr.EventData(None, {"value": "remote:x@http://elsewhere/v1", "action": "add"})
    assert list(tab.add(found, strange, REQUEST)) == [], "only what was listed can be added"


def test_a_server_that_refuses_is_told_on_the_page_in_chinese(studio: Studio, server: Serving) -> None:
    server.key = "another"
    tab = placed(Models, studio)
    _, shown = all_of(tab.servers.find(server.address, CHINESE))
    assert "拒绝 BOX_KEY 中的密钥" in shown[tab.servers.bench.status] and KEY not in str(shown)
    with pytest.raises(ServerFailed, match="refuses the key in BOX_KEY"):
        described(studio, f"remote:tiny-vl@{server.address}")


def test_the_command_line_lists_adds_and_describes(
    server: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdemo import cli

    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path))
    monkeypatch.setenv("MMDEMO_OFFLINE", "yes")
    monkeypatch.setenv("MMDEMO_DEVICE", "cpu")
    run: Callable[..., int] = lambda *words: cli.main(list(words))  # noqa: E731
    assert run("models", "served", server.address) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"remote:tiny-vl@{server.address}", f"remote:whisper-tiny@{server.address}",
    ]  # fmt: skip
    assert run("models", "served", server.address, "--add", "nothing") == 1
    assert "it has: tiny-vl, whisper-tiny" in capsys.readouterr().err
    assert run("models", "served", server.address, "--add", "tiny-vl", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"key": "remote:tiny-vl"}
    assert run("describe", str(SAMPLE), "--model", "remote:tiny-vl", "--read-text", "no", "--json") == 0
    out = json.loads(capsys.readouterr().out)
    assert out["text"].endswith("pixels.")
    assert run("models", "remove", "remote:tiny-vl") == 0

"""Rows of models on servers: by address, by name, from the settings; what is none is refused, no key repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdemo import catalog, remote_rows
from mmdemo.catalog import Remote
from mmdemo.errors import InputError, UnknownName
from mmdemo.settings import Settings

URL = "http://gpu-box:8000/v1"
SECRET = "sk-0123456789abcdef"


def settings(home: Path, named: object = None, **more: Any) -> Settings:
    if named is not None:
        (home / remote_rows.FILE).write_text(json.dumps(named))
    return Settings(home=str(home), **more)


def source_of(key: str, known: Settings) -> Remote:
    (source,) = remote_rows.spec_of(key, known).sources
    assert isinstance(source, Remote)
    return source


def test_a_key_with_an_address_is_a_row_that_can_be_asked_for_everything(tmp_path: Path) -> None:
    known = settings(tmp_path, remotes=f"{URL}=GPU_BOX_KEY http://127.0.0.1:11434/v1", remote_seconds=9)
    spec = remote_rows.spec_of(f"remote:Qwen/Qwen3-VL-8B-Instruct@{URL}/", known)
    assert spec.key == f"remote:Qwen/Qwen3-VL-8B-Instruct@{URL}", "without the last slash"
    assert spec.sources == (Remote(URL, "Qwen/Qwen3-VL-8B-Instruct", "GPU_BOX_KEY", seconds=9),)
    assert (spec.backend, spec.tasks, spec.bytes) == ("remote", ("describe", "transcribe", "talk"), 0)
    assert source_of("remote:llava:7b@http://127.0.0.1:11434/v1", known).model == "llava:7b"
    assert source_of("remote:llava:7b@http://127.0.0.1:11434/v1", known).variable == ""


def test_with_one_server_in_the_settings_a_models_name_is_enough(tmp_path: Path) -> None:
    known = settings(tmp_path, remotes=URL)
    assert source_of("remote:Qwen/Qwen3-VL", known) == Remote(URL, "Qwen/Qwen3-VL")
    with pytest.raises(UnknownName, match="choose from: remote:MODEL@http://HOST:PORT/v1"):
        remote_rows.spec_of("remote:Qwen/Qwen3-VL", settings(tmp_path, remotes=f"{URL} http://b/v1"))


def test_a_named_row_says_what_it_does_and_where_its_key_is(tmp_path: Path) -> None:
    entry = {"url": URL, "model": "whisper-1", "key": "MY_KEY", "tasks": ["transcribe"], "title": "Whisper there",
             "hears": "chat", "video": "video_url"}  # fmt: skip
    known = settings(tmp_path, {"ears": entry})
    (spec,) = remote_rows.rows(known)
    assert (spec.key, spec.title, spec.tasks) == ("remote:ears", "Whisper there", ("transcribe",))
    assert spec.sources == (Remote(URL, "whisper-1", "MY_KEY", "chat", "video_url"),)
    remote_rows.use(known)
    assert catalog.get("remote:ears") == spec
    with pytest.raises(UnknownName, match=r"no model on a server 'remote:eyes'; choose from: remote:ears"):
        catalog.get("remote:eyes")


def test_models_are_written_down_under_names_of_their_own_and_forgotten(tmp_path: Path) -> None:
    known = settings(tmp_path)
    first = remote_rows.declare(URL, "Qwen/Qwen3-VL", known)
    again = remote_rows.declare(f"{URL}/", "Qwen/Qwen3-VL", known)
    other = remote_rows.declare("http://b:1/v1", "other/Qwen3-VL", known)
    ears = remote_rows.declare(URL, "openai/whisper-large-v3", known)
    assert [spec.key for spec in (first, again, other, ears)] == [
        "remote:Qwen3-VL", "remote:Qwen3-VL", "remote:Qwen3-VL-2", "remote:whisper-large-v3",
    ]  # fmt: skip
    assert (first.tasks, ears.tasks) == (("describe", "talk"), ("transcribe",))
    assert [spec.key for spec in remote_rows.rows(known)] == [first.key, other.key, ears.key]
    assert remote_rows.servers(known) == [URL, "http://b:1/v1"]
    remote_rows.forget(first.key, known)
    assert [spec.key for spec in remote_rows.rows(known)] == [other.key, ears.key]
    assert list(tmp_path.iterdir()) == [tmp_path / remote_rows.FILE], "nothing half-written is left"


@pytest.mark.parametrize(
    "address", ["", "gpu-box:8000", "ftp://gpu-box", "http://", "http://a b/v1", "http://h:99999/v1", "http://h:x/v1",
                "file:///etc/passwd", "http://[::1", 'http://h/"><script>', "http://h/v1\nHost: x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="is no address of a server: write it as http://host:8000/v1"):
        remote_rows.base(address)


@pytest.mark.parametrize(
    "address", [f"http://me:{SECRET}@host/v1", f"http://host/v1?key={SECRET}", f"http://h/v1#{SECRET}"]
)
def test_a_key_in_an_address_is_refused_and_not_repeated(address: str, tmp_path: Path) -> None:
    for use in (remote_rows.base, lambda one: remote_rows.spec_of(f"remote:m@{one}", settings(tmp_path))):
        with pytest.raises(InputError, match="put a key into an environment variable") as told:
            use(address)
        assert SECRET not in str(told.value)


@pytest.mark.parametrize("key", [SECRET, "", "A B", 7, None, "A" * 65])
def test_a_key_where_a_variables_name_belongs_is_refused_and_not_repeated(key: object, tmp_path: Path) -> None:
    known = settings(tmp_path, {"x": {"url": URL, "model": "m", "key": key}})
    with pytest.raises(InputError, match="name of an environment variable that holds the key, never the key") as told:
        remote_rows.spec_of("remote:x", known)
    assert SECRET not in str(told.value)
    assert list(remote_rows.rows(known)) == [], "and the other rows can still be shown"
    with pytest.raises(InputError, match="MMDEMO_REMOTES must give the name") as told:
        remote_rows.servers(settings(tmp_path, remotes=f"{URL}={SECRET}"))
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("text", "'x' in remotes.json must have a url and a model"),
        ({"url": URL}, "must have a url and a model"),
        ({"url": URL, "model": "m", "api_key": SECRET}, "no field of remotes.json 'api_key'; choose from: url, model"),
        ({"url": URL, "model": "m", "tasks": ["sing"]}, "no task in remotes.json 'sing'"),
        ({"url": URL, "model": "m", "tasks": "describe"}, "no task in remotes.json"),
        ({"url": URL, "model": "m", "hears": "maybe"}, "no value of hears in remotes.json 'maybe'"),
        ({"url": URL, "model": "m", "video": []}, "no value of video in remotes.json"),
    ],
)
def test_a_broken_entry_says_what_is_wrong(entry: object, words: str, tmp_path: Path) -> None:
    known = settings(tmp_path, {"x": entry})
    with pytest.raises((InputError, UnknownName), match=words) as told:
        remote_rows.spec_of("remote:x", known)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_a_broken_file_is_told_and_hides_nothing_else(text: str, tmp_path: Path) -> None:
    (tmp_path / remote_rows.FILE).write_text(text)
    known = Settings(home=str(tmp_path))
    with pytest.raises(InputError, match=r"remotes\.json"):
        remote_rows.declare(URL, "m", known)
    assert list(remote_rows.rows(known)) == []
    assert (tmp_path / remote_rows.FILE).read_text() == text, "it is not written over"


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost:1", True), ("127.0.0.1", True), ("127.9.9.9:80", True), ("[::1]:8000", True), ("gpu-box", False),
     ("127.0.0.1.example.org", False), ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_only_this_machine_is_this_machine(host: str, here: bool) -> None:
    assert remote_rows.is_loopback(f"http://{host}/v1") is here


def test_the_guides_example_is_one(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "scale.md").read_text("utf-8")
    example = next(block for block in guide.split("```") if '"url"' in block)
    rows = list(remote_rows.rows(settings(tmp_path, json.loads(example))))
    assert [(row.key, row.tasks) for row in rows] == [
        ("remote:big", ("describe", "talk")), ("remote:ears", ("transcribe",)),
    ]  # fmt: skip
    fields = {
        name.strip("` ")
        for line in guide.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].split(",")
    }
    assert fields == set(remote_rows.FIELDS)

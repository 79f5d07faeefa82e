"""The page as it is served: the named API, the language script, nothing fetched from elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mmdemo import tasks
from mmdemo.ui import i18n, theme
from mmdemo.ui.early import SCRIPT, EarlyScript, with_script

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore")
def test_the_api_names_the_options_of_each_task(address: str, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file
    from PIL import Image

    client = Client(address, verbose=False)
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {f"/{task}" for task in tasks.TASKS}
    for task in tasks.TASKS:
        parameters = endpoints[f"/{task}"]["parameters"]
        fields = dataclasses.fields(tasks.get(task).options)
        assert [one["parameter_name"] for one in parameters] == ["files", *[field.name for field in fields]]
        defaults = {
            one["parameter_name"]: one["parameter_default"] for one in parameters if one["parameter_has_default"]
        }
        assert {name: defaults[name] for name in defaults if name != "files"}.items() <= {
            field.name: field.default for field in fields
        }.items()
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path)
    results = client.predict(files=[handle_file(path)], style="tags", question="what?", api_name="/describe")
    assert results[0]["file"] == "a.jpg" and results[0]["text"].startswith("Yes, about a brown dog")
    assert results[0]["question"] == "what?"
    with pytest.raises(Exception, match="poem"):
        client.predict(files=[handle_file(path)], style="poem", api_name="/describe")
    client.close()


def test_the_front_page_chooses_its_language_before_anything_else(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        page = answer.read().decode()
    assert page.index(SCRIPT) < page.index("<script", page.index(SCRIPT) + 10)
    assert page.index("<head>") + len("<head>") == page.index(SCRIPT)


def test_the_front_page_fetches_no_font_from_elsewhere(address: str) -> None:
    with urllib.request.urlopen(f"{address}theme.css") as answer:
        style = answer.read().decode()
    assert "url(http" not in style and "@import" not in style and "@font-face" not in style
    assert "--font: 'system-ui'" in style or "--font: system-ui" in style


def test_the_script_is_put_in_once_and_the_length_is_right() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"13"), (b"x-a", b"b")]}
    body = [{"body": b"<head>", "more_body": True}, {"body": b"</head>"}]
    head, whole = with_script([start, *body])
    assert whole["body"].decode() == f"<head>{SCRIPT}</head>"
    assert dict(head["headers"]) == {b"x-a": b"b", b"content-length": str(len(whole["body"])).encode()}


def test_only_html_is_changed() -> None:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"a": "<head>', "more_body": True})
        await send({"type": "http.response.body", "body": b'"}'})

    async def send(message: Any) -> None:
        sent.append(message)

    front = {"type": "http", "method": "GET", "path": "/"}
    asyncio.run(EarlyScript(app)(front, None, send))  # type: ignore[arg-type]
    assert [message.get("body") for message in sent] == [None, b'{"a": "<head>', b'"}']


def test_our_style_uses_only_our_own_class_names() -> None:
    rules = re.sub(r"/\*.*?\*/", "", theme.CSS.read_text("utf-8"), flags=re.DOTALL)
    names = set(re.findall(r"\.(-?[a-zA-Z_][\w-]*)", re.sub(r"\{[^{}]*\}", "{}", rules)))
    assert {name for name in names if not name.startswith("mm-")} == {"dark", "gradio-container"}


def test_nothing_that_is_sent_to_the_browser_names_another_machine() -> None:
    for path in (theme.CSS, theme.SCRIPT):
        assert "http" not in path.read_text("utf-8").lower().replace("https or permission", "").replace(
            "without https", ""
        )


def test_the_page_is_built_without_the_engines() -> None:
    code = (
        "import sys; from mmdemo import ui; from mmdemo.studio import Studio; ui.build(Studio());"
        "print([name for name in ('torch','transformers','cv2','openvino','ctranslate2','faster_whisper','av',"
        "'scenedetect','moviepy','timm','soundfile') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_catalogue_is_what_the_browser_gets() -> None:
    given = i18n.translations().translations_dict
    assert set(given) == {"en", "zh", "zh-CN", "zh-TW"}
    assert given["zh-CN"]["mm_tab_video"] == "视频" and given["en"]["mm_describe_style_label"] == "Style"

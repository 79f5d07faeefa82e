"""Describing pictures in the browser, with the real starter weights."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.weights]
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
LONG = 180_000


def drop(page: Any, selector: str, *paths: Path) -> None:
    """Drag files from the desktop onto the page and let them go there, as the mouse does: trusted events."""
    place = page.locator(selector)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    browser = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for type in ("dragEnter", "dragOver", "drop"):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        browser.send("Input.dispatchDragEvent", {"type": type, "data": data, **point})
    browser.detach()


def choose(page: Any, *paths: Path) -> None:
    page.locator("#mm-describe-drop input[type=file]").set_input_files([str(path) for path in paths])


def done(page: Any) -> None:
    """Wait until a request has ended well."""
    page.locator("#mm-describe-status").get_by_text("Done in").wait_for(timeout=LONG)


def pictures(count: int) -> list[Path]:
    found = sorted(SAMPLES.glob("*.jpg"))[:count]
    assert len(found) == count
    return found


def test_a_picture_dropped_on_the_area_is_described(page: Any) -> None:
    drop(page, "#mm-describe-drop button", pictures(1)[0])
    page.locator("#mm-describe-result .mm-from").wait_for(timeout=LONG)
    sentence = page.locator("#mm-describe-result .mm-answer").inner_text()
    assert len(sentence.split()) >= 4
    assert page.locator("#mm-describe-result .mm-labels li").count() == 5
    assert "starter-describer" in page.locator("#mm-describe-result .mm-from").inner_text()
    shown = page.locator("#mm-describe-result img").evaluate("image => [image.complete, image.naturalWidth > 0]")
    assert shown == [True, True]
    assert page.locator("#mm-describe-drop input[type=file]").count() == 1, "the area takes the next picture"
    page.locator("#mm-describe-drop.mm-over").wait_for(state="detached")


def test_a_picture_dropped_anywhere_on_the_tab_is_described(page: Any) -> None:
    drop(page, "#mm-describe-result", pictures(2)[1])
    page.locator("#mm-describe-result .mm-from").wait_for(timeout=LONG)


def test_a_pasted_picture_is_described(page: Any) -> None:
    data = base64.b64encode(pictures(1)[0].read_bytes()).decode()
    page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
          document.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData: transfer }));
        }""",
        data,
    )
    page.locator("#mm-describe-result .mm-from").wait_for(timeout=LONG)


def test_a_batch_fills_a_gallery_and_can_be_downloaded(page: Any, tmp_path: Path) -> None:
    choose(page, *pictures(3))
    page.locator("#mm-describe-status [role=progressbar]").wait_for()
    done(page)
    tiles = page.locator("#mm-describe-result .mm-tile")
    assert tiles.count() == 3
    captions = [len(text.split()) for text in page.locator(".mm-tile figcaption p").all_inner_texts()]
    assert len(captions) == 3 and min(captions) >= 1 and max(captions) >= 4
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").or_(page.get_by_role("link", name="CSV")).first.click()
    rows = Path(download.value.path()).read_text("utf-8").splitlines()
    assert rows[0].startswith('"file","text"') and len(rows) == 4
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").or_(page.get_by_role("link", name="JSON")).first.click()
    records = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert [record["file"] for record in records] == [path.name for path in pictures(3)]
    assert all(record["text"] and record["model"] == "starter-describer" for record in records)


def test_a_sentence_is_copied(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, pictures(1)[0])
    done(page)
    page.locator("#mm-describe-result").get_by_role("button", name="Copy").click()
    page.locator("#mm-describe-result").get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator(".mm-answer").inner_text()


def test_a_picture_of_the_camera_is_described(page: Any) -> None:
    page.get_by_role("button", name="Camera").click()
    camera = page.locator("#mm-describe-camera")
    camera.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => document.querySelector('#mm-describe-camera video')?.currentTime > 0")
    camera.get_by_role("button", name=re.compile("capture", re.IGNORECASE)).click()
    done(page)
    assert len(page.locator("#mm-describe-result .mm-answer").inner_text().split()) >= 4
    shown = page.locator("#mm-describe-result img").evaluate("image => image.naturalWidth")
    assert shown > 100


def test_a_written_question_shows_what_the_blind_model_was_given(page: Any) -> None:
    choose(page, pictures(1)[0])
    done(page)
    page.locator("#mm-describe-question textarea").fill("Who is in the picture?")
    page.locator("#mm-describe-ask").click()
    page.locator(".mm-asked").wait_for(timeout=LONG)
    done(page)
    page.get_by_role("button", name="What the answering model was given").click()
    prompt = page.locator("#mm-describe-prompt textarea").input_value()
    assert prompt.startswith("A picture shows: ") and prompt.endswith("Who is in the picture?")
    assert page.locator("#mm-describe-result .mm-answer").inner_text()
    assert "smollm2-135m-instruct" in page.locator(".mm-from").inner_text()


def test_a_spoken_question_is_written_down_changed_and_answered(page: Any) -> None:
    choose(page, pictures(1)[0])
    done(page)
    microphone = page.locator("#mm-describe-microphone")
    microphone.get_by_role("button", name=re.compile("^Record")).click()
    page.wait_for_timeout(6000)
    microphone.get_by_role("button", name=re.compile("^Stop")).first.click()
    page.locator("#mm-question-status").get_by_text("This was heard").wait_for(timeout=LONG)
    box = page.locator("#mm-describe-question textarea")
    assert "printing" in box.input_value().lower()
    box.fill("What is it? " + box.input_value())
    page.locator("#mm-describe-ask").click()
    page.locator(".mm-asked").get_by_text("What is it?").wait_for(timeout=LONG)
    done(page)
    assert page.locator("#mm-describe-result .mm-answer").inner_text()


def test_a_bad_file_is_one_sentence_and_the_next_request_works(page: Any, tmp_path: Path) -> None:
    lie = tmp_path / "holiday.jpg"
    lie.write_text("This is a letter, not a picture.")
    choose(page, lie)
    alert = page.locator("#mm-describe-status [role=alert]")
    alert.wait_for(timeout=LONG)
    assert "holiday.jpg" in alert.inner_text() and "Traceback" not in alert.inner_text()
    choose(page, pictures(1)[0])
    done(page)
    assert page.locator("#mm-describe-result .mm-from").count() == 1


def test_on_the_chinese_page_a_bad_file_is_one_chinese_sentence(page: Any, tmp_path: Path) -> None:
    lie = tmp_path / "holiday.jpg"
    lie.write_text("This is a letter, not a picture.")
    page.locator("#mm-language").click()
    page.get_by_role("tab", name="看图").wait_for()
    drop(page, "#mm-describe-drop button", lie)
    alert = page.locator("#mm-describe-status [role=alert]")
    alert.wait_for(timeout=LONG)
    assert alert.inner_text().removeprefix("⚠").strip() == "holiday.jpg 是文本，不是图片：请选择图片后重试。"


def test_one_bad_file_among_many_leaves_the_others(page: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    choose(page, pictures(1)[0], empty)
    done(page)
    assert "empty.png" in page.locator(".mm-tile [role=alert]").inner_text()
    assert page.locator(".mm-tile figcaption p").count() == 1


def test_after_a_reload_the_page_works(page: Any) -> None:
    choose(page, *pictures(3))
    page.locator("#mm-describe-result .mm-tile").first.wait_for()
    page.reload()
    page.locator("#mm-header .mm-fact").first.wait_for()
    page.watch.errors.clear()  # the page that was left complains that its stream was cut
    choose(page, pictures(1)[0])
    done(page)


def test_a_sample_and_a_style_need_two_clicks(page: Any) -> None:
    page.get_by_role("button", name=pictures(1)[0].stem).click()
    done(page)
    sentence = page.locator(".mm-answer").inner_text()
    page.locator("#mm-describe-style input").click()
    page.get_by_role("option", name="Tags").click()
    page.locator("#mm-describe-go").click()
    page.wait_for_function("before => document.querySelector('.mm-answer')?.innerText !== before", arg=sentence)
    done(page)


STOP_IT = """() => {
    const said = document.querySelector("#mm-describe-status").innerText;
    const stop = document.querySelector("#mm-describe-stop");
    if (said.includes("Done in")) return "late";
    if (!said.includes("Loading Starter describer") || stop.disabled) return "";
    stop.click();
    return "pressed";
}"""
"""Pressed in the frame in which it is read: loading takes a second, and a driver from outside comes too late."""


def test_stop_while_a_model_loads_and_then_a_second_request(
    fresh_server: Callable[[], Any], opened: Callable[..., Any]
) -> None:
    for _ in range(4):  # on a busy machine it may be loaded before the page has drawn that it is being loaded
        with fresh_server() as address:
            page = opened(address)
            choose(page, pictures(1)[0])
            if page.wait_for_function(STOP_IT, timeout=LONG).json_value() == "late":
                page.close()
                continue
            page.locator("#mm-describe-status").get_by_text("Stopped").wait_for(timeout=5000)
            assert page.locator("#mm-describe-result .mm-from").count() == 0
            choose(page, pictures(1)[0])
            done(page)
            assert len(page.locator("#mm-describe-result .mm-answer").inner_text().split()) >= 4
            page.close()
            return
    pytest.fail("It was loaded each time before Stop could be pressed.")

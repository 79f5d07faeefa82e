"""A model that is no row of the catalog: searched on the Hub, fetched, stopped, resumed, loaded, removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo import torchvision_ops, trusted_code
from mmdemo.settings import Settings
from tests.browser.conftest import LONG, SAMPLES, serving
from tests.loopback import COMMIT, Served, publish

pytestmark = pytest.mark.browser
REPO = "someone/tiny-eyes"
SAMPLE = sorted(SAMPLES.glob("*.jpg"))[0]
KEY = f"hub:{REPO}"
WEIGHTS = f"/{REPO}/resolve/{COMMIT}/model.safetensors"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """A tiny random SmolVLM2."""
    torchvision_ops.prepare()
    from tests.runtime.backends.tiny_vision import smolvlm

    folder = tmp_path / "smolvlm"
    folder.mkdir()
    smolvlm(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_model_of_the_hub_is_found_fetched_and_loaded(
    opened: Callable[..., Any], served: Served, files: dict[str, bytes], tmp_path: Path
) -> None:
    size = len(files["model.safetensors"])
    publish(served, REPO, files, pipeline_tag="image-text-to-text", library_name="transformers", downloads=4321,
            tags=["license:mit"], cardData={"license": "mit"},
            safetensors={"parameters": {"F32": size // 4}, "total": size // 4})  # fmt: skip
    publish(served, "someone/else", {}, pipeline_tag="image-segmentation", downloads=9)
    served.held.add(WEIGHTS)
    (tmp_path / "home").mkdir()
    with serving(tmp_path / "home", HF_ENDPOINT=served.address) as address:
        page = opened(address, width=390)
        page.get_by_role("tab", name="Models").click()
        page.get_by_label("Search the Hub").fill("someone")
        page.get_by_label("Search the Hub").press("Enter")
        result = page.locator("#mm-hub-results tr[data-mm-found]")
        result.wait_for(timeout=LONG)
        assert result.count() == 1
        text = result.inner_text()
        assert all(words in text for words in ("tiny-eyes", "describe", "mit", "4,321", "0.2 MB")), text
        assert page.evaluate("document.documentElement.scrollWidth") == 390

        page.get_by_role("button", name="Fetch tiny-eyes").click()
        page.wait_for_function("() => document.querySelector('#mm-models-status').innerText.includes('0.1 MB /')")
        page.locator("#mm-models-stop").click()
        row = page.locator(f'#mm-models-table tr[data-mm-model="{KEY}"]')
        row.get_by_text("are here").wait_for(timeout=LONG)
        assert "Stopped. What was done so far is kept." in page.locator("#mm-models-status").inner_text()

        served.held.clear()
        result.get_by_role("button", name="Resume tiny-eyes").click()
        result.get_by_text("in the cache").wait_for(timeout=LONG)
        (first, _), (wanted, sent) = served.of(WEIGHTS)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        assert first == "" and start > 0 and sent == size - start

        row.get_by_role("button", name="Load tiny-eyes").click()
        row.get_by_text("loaded on cpu").wait_for(timeout=LONG)
        row.get_by_text("last used").wait_for()

        page.get_by_role("tab", name="Describe").click()
        page.locator("#mm-describe-model input").click()
        page.get_by_role("option", name="tiny-eyes").click()
        page.locator("#mm-header").get_by_text("tiny-eyes").wait_for()
        page.locator("#mm-describe-drop input[type=file]").set_input_files(str(SAMPLE))
        page.locator("#mm-describe-status .mm-quiet").wait_for(timeout=LONG)
        page.locator(".mm-from", has_text="tiny-eyes").wait_for()

        page.get_by_role("tab", name="Models").click()
        page.on("dialog", lambda dialog: dialog.accept())
        row.get_by_role("button", name="Remove tiny-eyes").click()
        row.wait_for(state="detached", timeout=LONG)
        result.get_by_role("button", name="Fetch tiny-eyes").wait_for()
        page.close()  # before the server: a page without one complains
    assert not list((tmp_path / "home" / "models").glob("hub--*"))


def test_the_code_of_one_model_is_allowed_and_forbidden_again(
    opened: Callable[..., Any], server: str, home: Path
) -> None:
    page = opened(server, width=390)
    page.get_by_role("tab", name="Models").click()
    page.get_by_text("Code that models bring").click()
    shown = page.locator("#mm-trust-list")
    shown.get_by_text("No model's own code may run.").wait_for(timeout=LONG)
    page.get_by_label("Model whose code is meant").fill(KEY)
    page.locator("#mm-trust-allow").click()
    shown.get_by_text(KEY).wait_for(timeout=LONG)
    assert trusted_code.allowed(Settings(home=str(home))) == (KEY,)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#mm-trust-forbid").click()
    shown.get_by_text("No model's own code may run.").wait_for(timeout=LONG)
    assert trusted_code.allowed(Settings(home=str(home))) == ()

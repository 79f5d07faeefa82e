"""The drawer of jobs in a browser: a job that another program started is seen, stopped, resumed and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.browser.conftest import LONG, serving
from tests.jobs.conftest import command, counted, home, until

__all__ = ["home"]
pytestmark = pytest.mark.browser


def test_a_job_is_followed_through_reloads_devices_and_a_new_start_of_the_studio(
    opened: Callable[..., Any],
    home: Path,
) -> None:
    home.mkdir()
    jobs = Jobs(Settings(home=str(home)))
    with serving(home) as address:
        page = opened(address)
        page.locator("#mm-jobs-open").click()
        page.get_by_text("Nothing runs.").wait_for()
        job = jobs.submit("count", "Counting sheep", lambda folder: command(folder, 3000, 0.1))
        card = page.locator(f'#mm-jobs-list [data-mm-job="{job.id}"]')
        card.get_by_text("of 3000").wait_for(timeout=LONG)  # came from elsewhere, without a reload
        page.get_by_role("button", name="Jobs · 1").wait_for()
        page.get_by_role("button", name="Stop Counting sheep").focus()
        before = card.inner_text()
        page.wait_for_function(f"() => document.querySelector('[data-mm-job=\"{job.id}\"]').innerText !== {before!r}")
        assert page.evaluate("document.activeElement.ariaLabel") == "Stop Counting sheep", "looks keep the focus"

        phone = opened(address, width=390)
        phone.get_by_role("tab", name="Models").click()
        assert phone.get_by_role("button", name="Stop Counting sheep").count() == 0, "hidden until it is opened"
        phone.locator("#mm-jobs-open").press("Enter")
        phone.get_by_role("button", name="Stop Counting sheep").click()
        phone.get_by_role("button", name="Resume Counting sheep").wait_for(timeout=LONG)
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
        page.get_by_role("button", name="Resume Counting sheep").wait_for(timeout=LONG)
        page.get_by_role("button", name="Resume Counting sheep").click()
        card.get_by_text("running").wait_for(timeout=LONG)
        at = counted(job)
        page.close()
        phone.close()

    counted(job, at + 3)  # the studio is gone
    with serving(home) as address:
        page = opened(address)
        page.locator("#mm-jobs-open").click()
        page.get_by_role("button", name="Stop Counting sheep").click()
        until(jobs, job.id, "stopped")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove Counting sheep").click()
        page.get_by_text("Nothing runs.").wait_for(timeout=LONG)
        page.keyboard.press("Escape")
        page.wait_for_function("() => document.activeElement.id === 'mm-jobs-open'")
        page.close()
    assert not job.folder.exists()

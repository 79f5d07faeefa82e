"""A Hub that waits, refuses and lies: what it means is told, and nothing wrong is ever used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from mmdemo.catalog import Hub, ModelSpec
from mmdemo.errors import ChecksumMismatch, Unreachable
from mmdemo.runtime.sources import Progress, cached, fetch, hub_ask
from mmdemo.runtime.sources.hub_program import wait_of
from mmdemo.settings import Settings
from tests.loopback import Served, publish
from tests.runtime.sources.large import FILE, FILES, LIST, REPO, WEIGHTS, assert_nothing_is_used, part

Publish = Callable[..., None]
Row = Callable[..., ModelSpec]
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_ask, "PAUSES", (0.01, 0.02, 0.03))


@pytest.mark.parametrize("path", [LIST, FILE])
def test_a_server_in_trouble_is_asked_again_a_few_times(
    path: str, served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.failing[path] = [(500, {}), (503, {}), (502, {})]
    assert (fetch(row(Hub(REPO)), settings) / "model.safetensors").read_bytes() == WEIGHTS
    served.refused[path] = (500, {})
    with pytest.raises(Unreachable, match=r"the Hub is out of order \(status 500\): try again later"):
        fetch(row(Hub(REPO), key="tiny-2"), settings)
    assert served.asked[path] == 4 + 4


@pytest.mark.parametrize("path", [LIST, FILE])
def test_too_many_requests_wait_as_long_as_the_hub_says(
    path: str, served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.failing[path] = [(429, {"Retry-After": "1"})]
    steps: list[Progress] = []
    begun = time.monotonic()
    fetch(row(Hub(REPO)), settings, steps.append)
    assert time.monotonic() - begun >= 1
    assert "Asking the Hub again in 1 s" in {step.stage for step in steps}
    assert served.asked[path] == 2


def test_a_wait_that_is_too_long_is_told_instead(served: Served, hub: Publish, row: Row, settings: Settings) -> None:
    hub(REPO, FILES)
    for headers in ({"Retry-After": "3600"}, {"ratelimit": '"api";r=0;t=3600'}):
        served.refused[FILE] = (429, headers)
        with pytest.raises(Unreachable, match="too many requests from here and asks to wait 3600 s"):
            fetch(row(Hub(REPO)), settings)
    served.refused[FILE] = (429, {})
    with pytest.raises(Unreachable, match="too many requests from here and asks to wait"):
        fetch(row(Hub(REPO)), settings)
    assert served.asked[FILE] == 1 + 1 + 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=3))}, 3 * 3600),
        ({"retry-after": format_datetime(datetime.now(UTC) - timedelta(hours=3))}, 0),
        ({"retry-after": "soon"}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=10;t=55'}, None),
    ],
)
def test_how_long_the_hub_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_of(headers) == (None if seconds is None else pytest.approx(seconds, abs=900))


@pytest.mark.parametrize("listed", [100, 2_000_000, 4_000_000], ids=["tiny", "smaller", "larger"])
def test_a_size_that_was_a_lie_is_never_used_and_leaves_nothing(
    listed: int, served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    honest = served.bodies[LIST]
    info = json.loads(honest)
    info["siblings"][1]["size"] = listed
    served.bodies[LIST] = json.dumps(info).encode()
    spec = row(Hub(REPO))
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors from someone/tiny on the Hub is damaged"):
        fetch(spec, settings)
    assert_nothing_is_used(spec, settings)
    assert part(settings) == 0
    served.bodies[LIST] = honest
    assert (fetch(spec, settings) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_small_file_that_is_not_what_the_hub_lists_is_refused(
    hub: Publish, row: Row, settings: Settings, served: Served
) -> None:
    hub(REPO, FILES, listed={"config.json": b"[]"})
    spec = row(Hub(REPO))
    with pytest.raises(ChecksumMismatch, match=r"config\.json from someone/tiny on the Hub is damaged"):
        fetch(spec, settings)
    assert cached(spec, settings) is None


def test_a_file_too_large_for_plain_http_is_left_to_the_client_itself(
    served: Served, hub: Publish, tmp_path: Path
) -> None:
    hub(REPO, FILES)
    served.headers[FILE]["ETag"] = '"' + "0" * 64 + '"'
    code = (
        "import sys; from mmdemo.runtime.sources import hub_download, hub_program; hub_download.LARGEST = 1000; "
        "sys.exit(hub_program.main())"
    )
    job = {
        "action": "download", "repo": REPO, "revision": "main", "folder": str(tmp_path), "place": str(tmp_path),
        "wanted": [], "patterns": ["*"], "spare": 0, "pauses": [],
    }  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "", "_MMDEMO_HF_HUB_OFFLINE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(job), cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"done": True}, done.stderr
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS


def test_the_token_of_the_environment_is_sent_and_kept_nowhere(
    served: Served, hub: Publish, row: Row, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(REPO, FILES)
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    fetch(row(Hub(REPO)), settings)
    assert served.tokens == {"Bearer hf_secretsecret"}
    kept = [path for path in Path(settings.home).rglob("*") if path.is_file()]
    assert kept and not any(b"hf_secret" in path.read_bytes() for path in kept)


def test_two_hubs_at_once_do_not_mix(row: Row, settings: Settings, served: Served, hub: Publish) -> None:
    publish(served, "other/one", {"config.json": b"{}", "model.safetensors": b"one"})
    hub(REPO, FILES)
    threads = [
        threading.Thread(target=fetch, args=(row(Hub(repo), key=repo.replace("/", "-")), settings))
        for repo in (REPO, "other/one")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (settings.models_folder / "other-one" / "model.safetensors").read_bytes() == b"one"
    assert (settings.models_folder / "someone-tiny" / "model.safetensors").read_bytes() == WEIGHTS

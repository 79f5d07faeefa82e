"""A Hub that breaks off, waits, refuses and lies: nothing half is ever used, and nothing is fetched twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mmdemo.catalog import Hub, ModelSpec
from mmdemo.errors import Cancelled, ChecksumMismatch, Unreachable
from mmdemo.runtime.sources import Progress, cached, fetch, hub_ask
from mmdemo.runtime.sources.hub_download import PIECE
from mmdemo.settings import Settings
from tests.loopback import COMMIT, Served, publish

Publish = Callable[..., None]
Row = Callable[..., ModelSpec]
WEIGHTS = os.urandom(3_000_000)
HALF = len(WEIGHTS) // 2
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
REPO = "someone/tiny"
LIST = f"/api/models/{REPO}/revision/main"
FILE = f"/{REPO}/resolve/{COMMIT}/model.safetensors"
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_ask, "PAUSES", (0.01, 0.02, 0.03))


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def part(settings: Settings) -> int:
    """Bytes that are here of the large file."""
    parts = settings.models_folder / ".staging" / "tiny" / "hub" / ".parts"
    sizes = [path.stat().st_size for path in parts.iterdir()] if parts.is_dir() else []
    return max(sizes, default=0)


def assert_resumed(served: Served, start: int) -> None:
    """The last download of the large file was of all that was not here, and of nothing else."""
    assert start > HALF - PIECE
    assert served.of(FILE)[-1] == (f"bytes={start}-", len(WEIGHTS) - start)


def assert_nothing_is_used(spec: ModelSpec, settings: Settings) -> None:
    assert cached(spec, settings) is None
    assert not (settings.models_folder / "tiny" / "model.safetensors").exists()


def test_a_stopped_download_goes_on_where_it_stopped(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)
    with pytest.raises(Cancelled, match="what has arrived is kept for the next time"):
        fetch(spec, settings, cancelled=lambda: part(settings) > HALF - PIECE)
    assert_nothing_is_used(spec, settings)
    start = part(settings)
    served.held.clear()
    steps: list[Progress] = []
    folder = fetch(spec, settings, steps.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert_resumed(served, start)
    assert served.asked[f"/{REPO}/resolve/{COMMIT}/config.json"] == 1
    assert max(step.total for step in steps) == len(WEIGHTS) + 2


def test_a_download_whose_process_was_killed_goes_on_where_it_was(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)

    def kill() -> None:
        wait_for(lambda: part(settings) > HALF - PIECE)
        for child in psutil.Process().children():
            child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unreachable, match="could not fetch someone/tiny: it was ended"):
        fetch(spec, settings)
    killer.join()
    assert_nothing_is_used(spec, settings)
    start = part(settings)
    served.held.clear()
    fetch(spec, settings)
    assert_resumed(served, start)


def test_when_the_program_is_killed_its_download_ends_and_the_next_program_goes_on(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.held.add(FILE)
    code = (
        "from mmdemo.catalog import Hub, ModelSpec; from mmdemo.runtime.sources import fetch; "
        "from mmdemo.settings import Settings; "
        f"fetch(ModelSpec('tiny', 'Tiny', 'labels', (), (Hub({REPO!r}),), '', '', '', 0, 0), "
        f"Settings(home={settings.home!r}))"
    )
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    wait_for(lambda: part(settings) > HALF - PIECE)
    (downloading,) = psutil.Process(program.pid).children()
    program.kill()
    program.wait()
    wait_for(lambda: not downloading.is_running())
    start = part(settings)
    served.held.clear()
    fetch(row(Hub(REPO)), settings)
    assert_resumed(served, start)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_dropped_connection_is_taken_up_again_in_the_same_run(
    reset: bool, served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.breaking[FILE], served.resetting = 2, reset
    folder = fetch(row(Hub(REPO)), settings)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    (first, second, third) = served.of(FILE)
    starts = [int(wanted.removeprefix("bytes=").removesuffix("-") or 0) for wanted, _ in (first, second, third)]
    assert HALF - PIECE < starts[1] <= HALF < starts[2]
    assert third[1] == len(WEIGHTS) - starts[2]


def test_a_server_that_knows_no_ranges_gives_the_file_from_its_beginning(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.ranges = False
    served.breaking[FILE] = 1
    folder = fetch(row(Hub(REPO)), settings)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_has_arrived_of_another_commit_is_not_gone_on_with(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)
    with pytest.raises(Cancelled):
        fetch(spec, settings, cancelled=lambda: part(settings) > HALF - PIECE)
    served.held.clear()
    hub(REPO, {**FILES, "model.safetensors": WEIGHTS[::-1]})
    assert (fetch(spec, settings) / "model.safetensors").read_bytes() == WEIGHTS[::-1]
    assert served.of(FILE)[-1] == ("", len(WEIGHTS))


def test_files_that_were_checked_and_moved_are_not_fetched_again(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    folder = fetch(spec, settings)
    (folder / ".complete.json").unlink()  # ended between the last file and the marker
    assert fetch(spec, settings) == folder
    assert served.asked[FILE] == 1
    (folder / ".complete.json").unlink()
    (folder / "model.safetensors").write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(ChecksumMismatch):
        fetch(spec, settings)
    assert (fetch(spec, settings) / "model.safetensors").read_bytes() == WEIGHTS


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
    assert "The Hub is busy: asking it again in 1 s" in {step.stage for step in steps}
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

"""Starting the program: flags, the port, the address it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import app
from mmdemo.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture
def started(tmp_path: Path, free_port: int) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts the program as a user does, with the variables given; the process and the line that it prints first."""
    processes: list[subprocess.Popen[str]] = []

    def start(*flags: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        own = {"MMDEMO_HOME": str(tmp_path / "home"), "MMDEMO_PORT": str(free_port)}
        process = subprocess.Popen(
            [sys.executable, "app.py", "--offline", *flags],
            cwd=ROOT, env={**os.environ, **own, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def title(address: str) -> str:
    """The title of the page that is served, asked of the server directly."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address) as answer:
        found = re.search(r'window\.gradio_config = \{.*?"title":"(.*?)"', answer.read().decode())
    assert found
    return found[1]


def test_only_flags_that_were_given_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vars(app.arguments([])) == {}
    given = app.arguments(["--host", "::1", "--port", "9000", "--offline"])
    assert vars(given) == {"host": "::1", "port": 9000, "offline": True}


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert app.main(["--port", str(port)]) == 1
    assert capsys.readouterr().out == (
        f"mmdemo: 127.0.0.1:{port} is in use or not of this machine; choose another with --port, or PORT= of make.\n"
    )


def test_a_wrong_setting_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_MAX_FILES", "many")
    assert app.main([]) == 1
    assert capsys.readouterr().out == "mmdemo: MMDEMO_MAX_FILES is 'many', but must be a whole number.\n"


def test_a_port_that_no_machine_has_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--port", "65536"]) == 1
    assert capsys.readouterr().out.startswith("mmdemo: 127.0.0.1:65536 is in use or not of this machine; choose ")


def test_a_home_that_cannot_be_written_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path / "file"))
    assert app.main(["--port", str(free_port)]) == 1
    assert capsys.readouterr().out == (
        f"mmdemo: {tmp_path}/file/cache/page cannot be used (Not a directory): "
        "make it writable, or let MMDEMO_HOME name another folder.\n"
    )


def test_it_serves_the_page_prints_where_and_ends_on_ctrl_c(started, free_port: int) -> None:
    process, line = started()
    assert line == f"mmdemo: http://127.0.0.1:{free_port}\n"
    assert title(f"http://127.0.0.1:{free_port}") == "mmdemo"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in rest


def test_behind_an_http_proxy_it_asks_itself_directly(started, free_port: int) -> None:
    dead = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    process, line = started(**dead, NO_PROXY="intranet.example", no_proxy="")
    assert line == f"mmdemo: http://127.0.0.1:{free_port}\n"
    assert title(f"http://127.0.0.1:{free_port}") == "mmdemo"
    assert process.poll() is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.0.1,localhost,::1,studio.local"),
        ("intranet, localhost", "intranet,localhost,127.0.0.1,::1,studio.local"),
        ("*", "*"),
    ],
)
def test_what_the_user_excepts_from_the_proxy_stays(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, before)
    app.without_proxy("studio.local")
    assert (os.environ["NO_PROXY"], os.environ["no_proxy"]) == (after, after)


def test_the_page_keeps_its_files_in_the_home_for_this_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # so that it is put back afterwards
    settings = Settings(home=str(tmp_path / "home"))
    app.keep_uploads(settings)
    run = Path(os.environ["GRADIO_TEMP_DIR"])
    assert run.parent == tmp_path / "home" / "cache" / "page" == settings.page_folder
    assert run.name.startswith(f"{os.getpid()}-")
    assert [stat.S_IMODE(place.stat().st_mode) for place in (run, run.parent)] == [0o700, 0o700]


def test_a_folder_that_the_user_has_chosen_for_the_page_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "mine"))
    app.keep_uploads(Settings(home=str(tmp_path / "home")))
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / "mine")
    assert not (tmp_path / "home").exists()


def test_an_upload_lies_in_the_home_and_goes_with_the_program(started, tmp_path: Path, free_port: int) -> None:
    process, _ = started(GRADIO_TEMP_DIR="")
    content = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nprivate\r\n--cut--\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{free_port}/gradio_api/upload",
        content,
        {"Content-Type": "multipart/form-data; boundary=cut"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        place = Path(json.loads(answer.read())[0])
    assert place.is_relative_to(tmp_path / "home" / "cache" / "page")
    assert place.read_bytes() == b"private"
    process.terminate()
    process.wait(timeout=60)
    assert list((tmp_path / "home" / "cache" / "page").iterdir()) == []

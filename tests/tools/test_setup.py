"""Set-up: it does what is missing and no more, and says in one line why it cannot."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.settings import Settings
from tools import setup

ROOT = Path(setup.__file__).parents[1]


def old_python(folder: Path, name: str, answer: str) -> str:
    """A program that answers as another Python would."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {answer}\n")
    path.chmod(0o755)
    return str(path)


def wheel(folder: Path, project: str) -> None:
    info = f"{project}-1.0.0.dist-info"
    with zipfile.ZipFile(folder / f"{project}-1.0.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{project}.py", "answer = 42\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program that needs two tiny packages only, with an environment made by set-up itself."""
    root = tmp_path_factory.mktemp("program")
    for name in ("tools", "mmdemo"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "wheels").mkdir()
    wheel(root / "wheels", "tinybase")
    wheel(root / "wheels", "tinydev")
    (root / "requirements.txt").write_text("tinybase==1.0.0\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\ntinydev==1.0.0\n")
    setup.make_environment(root / ".venv")
    return root


@pytest.fixture(autouse=True)
def only_the_wheels_here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place / "wheels"))


def has(place: Path, package: str) -> bool:
    python = str(setup.python_of(place / ".venv"))
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode == 0


def test_an_old_python_can_read_the_file_that_tells_it_so() -> None:
    for name in ("setup", "browser"):
        source = (ROOT / "tools" / f"{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source, feature_version=(3, 7))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= set(sys.stdlib_module_names) | {"tools.browser"}
        assert "from __future__ import annotations" in source


def test_the_first_python_that_fits_is_taken(tmp_path: Path) -> None:
    old, newest, good = (
        old_python(tmp_path, name, answer) for name, answer in (("a", "3 8 1"), ("b", "3 99 1"), ("c", "3 12 1"))
    )
    absent = str(tmp_path / "absent")
    assert setup.find_python([old, absent, newest, good]) == good, "one that all packages have wheels for"
    assert setup.find_python([old, newest]) == newest
    assert setup.find_python(setup.candidates())


def test_only_old_pythons_is_one_sentence(tmp_path: Path) -> None:
    pythons = [old_python(tmp_path, name, answer) for name, answer in (("a", "3 8 1"), ("b", "2 7 0"))]
    with pytest.raises(setup.SetupError) as told:
        setup.find_python(pythons)
    assert str(told.value) == (
        "Python 3.11 or newer is needed and the newest here is 3.8: "
        "install one from https://www.python.org/downloads/ and run this again."
    )


def test_a_python_without_venv_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(setup.SetupError, match=r"apt-get install python3\.11-venv"):
        setup.find_python([old_python(tmp_path, "a", "3 11 0")])


def test_packages_are_installed_once_and_again_when_the_list_changes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = place / ".venv"
    assert setup.install(place, venv, dev=False)
    assert (has(place, "tinybase"), has(place, "tinydev")) == (True, False)
    assert setup.install(place, venv, dev=True)
    assert has(place, "tinydev")

    monkeypatch.setenv("PIP_FIND_LINKS", str(place / "nowhere"))
    assert not setup.install(place, venv, dev=True), "a second run does not ask for anything"
    assert not setup.install(place, venv, dev=False)

    (place / "requirements.txt").write_text("tinybase==1.0.0\nabsent-package==1.0.0\n")
    with pytest.raises(setup.SetupError) as told:
        setup.install(place, venv, dev=False)
    assert "\n" not in str(told.value)
    assert str(told.value) == (
        "The packages could not be installed: No matching distribution found for absent-package==1.0.0 (run this again)"
    )
    (place / "requirements.txt").write_text("tinybase==1.0.0\n")
    assert not setup.install(place, venv, dev=True), "what failed has not spoiled what was there"


def test_no_network_is_one_sentence(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (tmp_path / "requirements.txt").write_text("absent-package==1.0.0\n")
    monkeypatch.setattr(setup, "STAMP", "other.json")
    with pytest.raises(setup.SetupError, match=r"^The packages .*: the package index could not be reached; connect"):
        setup.install(tmp_path, place / ".venv", dev=False)


def test_a_full_disk_is_one_sentence() -> None:
    pip = [
        "Collecting torch",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    ]
    assert setup.reason(pip) == "the disk is full; free some gigabytes and run this again."


def test_an_environment_that_does_not_work_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = setup.python_of(tmp_path / ".venv")
    python.parent.mkdir(parents=True)
    old_python(python.parent, python.name, "3 8 1; exit 1")
    (tmp_path / ".venv/left.txt").write_text("of the broken one")
    assert setup.make_environment(tmp_path / ".venv") == python
    assert "does not work any more" in capsys.readouterr().out
    assert not (tmp_path / ".venv/left.txt").exists()
    assert setup.version_of(str(python))[:2] >= setup.OLDEST
    assert setup.make_environment(tmp_path / ".venv") == python
    assert capsys.readouterr().out == "", "a good one is left alone"


def command(place: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run set-up as the user does."""
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    program = [sys.executable, str(place / "tools/setup.py"), *arguments]
    return subprocess.run(program, env=environment, cwd=place.parent, capture_output=True, text=True)


def test_weights_that_cannot_be_had_are_said_loudly_and_stop_only_the_tests(place: Path, tmp_path: Path) -> None:
    started = command(place, MMDEMO_HOME=str(tmp_path), MMDEMO_OFFLINE="yes")
    assert started.returncode == 0
    assert "Not all starter weights are here" in started.stdout
    assert "Fetching the starter weights: starter-describer, efficientnet-lite2" in started.stdout
    assert command(place, "--dev", MMDEMO_HOME=str(tmp_path), MMDEMO_OFFLINE="yes").returncode == 1


def test_a_wrong_setting_is_one_sentence(place: Path) -> None:
    done = command(place, MMDEMO_OFLINE="1")
    assert done.returncode == 1
    assert done.stderr.startswith("Set-up stopped: There is no setting 'MMDEMO_OFLINE'; choose from: MMDEMO_HOME")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def complete(place: Path) -> Iterator[Path]:
    """The program's copy with its assets, and with the packages of this environment within reach of its own."""
    assets, reach = place / "assets", site_packages(place / ".venv") / "reach.pth"
    assets.symlink_to(ROOT / "assets")
    reach.write_text(sysconfig.get_path("purelib"))
    yield place
    assets.unlink()
    reach.unlink()


def site_packages(venv: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(setup.python_of(venv)), "-c", code], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.mark.weights
def test_what_was_interrupted_after_the_fetch_is_prepared_by_the_next_run(complete: Path) -> None:
    home = Settings.load().home
    setup.stamp(complete / ".venv", {"prepared": "/another/place"})
    done = command(complete, MMDEMO_HOME=home)
    assert done.returncode == 0
    assert "Fetching" not in done.stdout
    assert "Preparing the starter models" in done.stdout
    assert "starter-describer: ready" in done.stderr
    assert setup.stamped(complete / ".venv")["prepared"] == str(Settings.load().models_folder)


@pytest.mark.weights
def test_a_preparation_that_fails_says_so_and_is_tried_again(place: Path) -> None:
    (place / "assets").symlink_to(ROOT / "assets")
    setup.stamp(place / ".venv", {})
    try:
        for _ in range(2):
            done = command(place, MMDEMO_HOME=Settings.load().home)  # the engines are not in this environment
            assert done.returncode == 0
            assert "The starter weights are here, but could not all be prepared" in done.stdout
            assert "Not all starter weights are here" not in done.stdout
            assert "Set-up is complete." in done.stdout
    finally:
        (place / "assets").unlink()
    assert "prepared" not in setup.stamped(place / ".venv")


@pytest.mark.weights
def test_a_second_run_has_nothing_to_do_and_asks_nobody(complete: Path) -> None:
    place, home = complete, Settings.load().home
    assert command(place, MMDEMO_HOME=home).returncode == 0
    stamp = (place / ".venv" / setup.STAMP).read_bytes()
    again = command(place, MMDEMO_HOME=home, PIP_FIND_LINKS="/nowhere", HF_ENDPOINT="http://127.0.0.1:9")
    assert (again.returncode, again.stdout, again.stderr) == (0, "Set-up is complete.\n", "")
    assert (place / ".venv" / setup.STAMP).read_bytes() == stamp
    assert "requirements.txt" in json.loads(stamp)


def test_a_pip_that_cannot_be_had_does_not_stop_set_up(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / ".venv" / setup.STAMP).unlink(missing_ok=True)
    assert setup.install(place, place / ".venv", dev=False)
    assert "  A newer pip could not be had, so the one here is used: No matching" in capsys.readouterr().out
    assert has(place, "tinybase")


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ((), {}, ""),
        (("PORT=7861",), {}, ' --port "7861"'),
        ((), {"PORT": "7862", "HOST": "0.0.0.0"}, ' --host "0.0.0.0" --port "7862"'),
    ],
)
def test_make_run_honours_host_and_port(arguments: tuple[str, ...], variables: dict[str, str], expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HOST", "PORT", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "run", *arguments],
        env=environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == ["python3 tools/setup.py", f".venv/bin/python app.py{expected}"]

"""`data`: what a data set is, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmdemo.cli import main
from mmdemo.datasets.corrections import Corrections, Kept
from mmdemo.settings import Settings
from tests.datasets.making import picture, text

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own data folder."""
    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_check_says_what_was_taken_for_what(tmp_path: Path, capsys: Out) -> None:
    for n in range(3):
        picture(tmp_path / "s" / f"{n}.png", n)
    text(tmp_path / "s" / "metadata.csv", "file_name,caption", "0.png,black", "1.png,blue", "2.png,green", "3.png,gone")
    assert main(["data", "check", str(tmp_path / "s")]) == 0
    out = capsys.readouterr().out
    assert "layout     imagefolder\n" in out and "columns    file_name as image, caption as targets\n" in out
    assert (
        "can train  image-to-text, text-image-retrieval\n" in out
        and "metadata.csv, row 4: 3.png is not there; the row was left out." in out
    )
    assert main(["data", "check", str(tmp_path / "s"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layout"], found["rows"], found["splits"], found["usable"]) == ("imagefolder", 3, {"": 3}, True)
    assert found["columns"] == {"file_name": "image", "caption": "targets"} and len(found["problems"]) == 1


def test_check_fails_for_what_cannot_be_used_and_says_why(tmp_path: Path, capsys: Out) -> None:
    assert main(["data", "check", str(tmp_path / "none"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "usable": False, "path": str(tmp_path / "none"), "error": "There is no file or folder none: check the path.",
    }  # fmt: skip
    assert err == "There is no file or folder none: check the path.\n"
    one = text(tmp_path / "one.csv", "text,label", "a,x", "b,x")
    assert main(["data", "check", str(one)]) == 1
    assert "All rows are of one class, x" in capsys.readouterr().out


def test_a_column_can_be_named_and_a_wrong_one_lists_what_there_is(tmp_path: Path, capsys: Out) -> None:
    file = text(tmp_path / "t.csv", "said,kind", "good morning to you,hello", "good night to you,bye")
    assert main(["data", "check", str(file), "--column", "said=targets", "--column", "kind=text", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == {"said": "targets", "kind": "text"}
    assert main(["data", "check", str(file), "--column", "sad=text"]) == 1
    assert "There is no column 'sad'; choose from: said, kind." in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["data", "check", str(file), "--column", "said"])
    assert left.value.code == 2


def test_corrections_are_listed_exported_restored_and_removed(home: Path, tmp_path: Path, capsys: Out) -> None:
    assert main(["data", "list"]) == 0
    assert "No corrections are kept yet" in capsys.readouterr().err
    own = Corrections(Settings.load())
    for n in range(2):
        own.keep("mine", picture(tmp_path / f"{n}.png", n), Kept("", "a", f"shade {n}", "m", "image-to-text"))
    assert main(["data", "list", "--json"]) == 0
    (found,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (found["name"], found["rows"], found["version"], found["folder"]) == (
        "mine",
        2,
        2,
        str(home / "datasets" / "mine"),
    )
    assert main(["data", "list", "mine"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("1        1     ")
    assert main(["data", "restore", "mine", "1"]) == 0
    assert capsys.readouterr().out == "mine: version 3, as version 1 was\n"
    assert main(["data", "export", "mine", "-o", str(tmp_path)]) == 0
    packed = Path(capsys.readouterr().out.strip())
    assert packed == tmp_path / "mine.zip"
    assert main(["data", "check", str(packed), "--json"]) == 1, "one row is too few to train on"
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert main(["data", "remove", "other", "mine"]) == 1
    out, err = capsys.readouterr()
    assert out == "mine: 0 MB freed\n" and "There is no data set 'other'; choose from: mine." in err
    assert not (home / "datasets" / "mine").exists()

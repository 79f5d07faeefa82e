"""`describe` on the command line, with a describer that needs no weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mmdemo.runtime.worker import Worker

Command = Callable[..., tuple[int, str, str]]
EYE = ("--model", "fake-eye", "--read-text", "no")


def picture(path: Path, width: int = 8) -> Path:
    Image.new("RGB", (width, 4), "red").save(path)
    return path


def test_one_picture_is_answered_by_its_text_alone(command: Command, tmp_path: Path) -> None:
    assert command("describe", picture(tmp_path / "a.png", 8), *EYE)[:2] == (0, "A picture 8 wide, as sentence.\n")


def test_several_pictures_say_which_is_which_and_go_through_the_model_together(
    command: Command, fakes: type, tmp_path: Path
) -> None:
    first, second = picture(tmp_path / "a.png", 8), picture(tmp_path / "b.png", 16)
    status, out, _ = command("describe", first, second, *EYE, "--style", "tags")
    assert (status, out) == (0, f"{first}: A picture 8 wide, as tags.\n{second}: A picture 16 wide, as tags.\n")
    assert fakes.calls == [2]  # type: ignore[attr-defined]


def test_json_has_one_object_an_input_and_nothing_else(command: Command, tmp_path: Path) -> None:
    file = picture(tmp_path / "ein Bild ü.png")
    status, out, err = command("describe", file, *EYE, "--json", "--labels", 1)
    assert status == 0
    assert out.count("\n") == 1
    assert err.splitlines() == ["Loading fake-eye"]
    found = json.loads(out)
    assert found.pop("seconds") >= 0
    assert found == {
        "file": str(file),
        "text": "A picture 8 wide, as sentence.",
        "model": "fake-eye",
        "labels": [{"name": "square", "probability": 0.75}],
        "text_read": [],
        "device": "cpu",
    }


def test_a_bad_and_a_missing_file_are_reported_and_the_rest_is_done(command: Command, tmp_path: Path) -> None:
    good, bad, missing = picture(tmp_path / "good.png"), tmp_path / "bad.png", tmp_path / "missing.png"
    bad.write_text("no picture")
    status, out, err = command("describe", bad, missing, good, *EYE, "--json")
    lines = {Path(found["file"]).name: found for found in map(json.loads, out.splitlines())}
    assert status == 1
    assert len(out.splitlines()) == 3
    assert lines["good.png"]["text"] == "A picture 8 wide, as sentence."
    assert set(lines["bad.png"]) == set(lines["missing.png"]) == {"file", "error"}
    assert "bad.png" in err
    assert f"There is no file {missing}" in err


def test_more_files_than_the_setting_allows_are_each_an_error(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDEMO_MAX_FILES", "1")
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    status, out, err = command("describe", first, second, *EYE, "--json")
    assert status == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == [str(first), str(second)]
    assert all("2 files are more than the limit of 1 at once" in line["error"] for line in lines)
    assert "Traceback" not in err


def test_a_single_bad_file_fails_in_one_sentence(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    status, out, err = command("describe", bad, *EYE)
    assert (status, out) == (1, "")
    assert len([line for line in err.splitlines() if line != "Loading fake-eye"]) == 1
    assert "Traceback" not in err


def test_two_files_of_one_name_keep_their_own_answers(command: Command, tmp_path: Path) -> None:
    for name, width in (("a", 8), ("b", 16)):
        (tmp_path / name).mkdir()
        picture(tmp_path / name / "same.png", width)
    first, second = tmp_path / "a" / "same.png", tmp_path / "b" / "same.png"
    _, out, _ = command("describe", first, second, first, *EYE, "--json")
    found = [(json.loads(line)["file"], json.loads(line)["text"].split()[2]) for line in out.splitlines()]
    assert found == [(str(first), "8"), (str(second), "16"), (str(first), "8")]


def test_a_folder_stands_for_the_pictures_in_it(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    picture(folder / "2.PNG", 16)
    picture(folder / "1.jpg", 8)
    (folder / "notes.txt").write_text("not a picture")
    _, out, _ = command("describe", folder, *EYE)
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(folder / "1.jpg"), str(folder / "2.PNG")]


def test_a_folder_without_pictures_is_a_failed_input(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, out, err = command("describe", tmp_path / "empty", *EYE, "--json")
    assert status == 1
    assert "There are no pictures" in json.loads(out)["error"]
    assert "There are no pictures" in err


def test_output_goes_to_a_file_and_leaves_standard_output_empty(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.jsonl"
    status, out, _ = command("describe", picture(tmp_path / "a.png"), *EYE, "--json", "-o", target)
    assert (status, out) == (0, "")
    assert json.loads(target.read_text())["text"] == "A picture 8 wide, as sentence."


def test_an_unknown_model_lists_the_choices(command: Command, tmp_path: Path) -> None:
    status, out, err = command("describe", picture(tmp_path / "a.png"), "--model", "gpt-9000")
    assert (status, out) == (1, "")
    assert "gpt-9000" in err
    assert "starter-describer" in err


@pytest.mark.parametrize(
    "wrong", [["--labels", "99"], ["--labels", "many"], ["--style", "poem"], ["--nosuch"]], ids=lambda w: " ".join(w)
)
def test_a_wrong_flag_is_a_usage_error(command: Command, tmp_path: Path, wrong: list[str]) -> None:
    status, out, err = command("describe", picture(tmp_path / "a.png"), *wrong)
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")


def test_ctrl_c_ends_with_130_and_no_traceback(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "stream", interrupted)
    status, out, err = command("describe", picture(tmp_path / "a.png"), *EYE)
    assert (status, out) == (130, "")
    assert err.strip() == "Stopped."


def test_what_a_library_prints_does_not_reach_standard_output(
    command: Command, fakes: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fakes.describe  # type: ignore[attr-defined]

    def chatty(self: object, images: list[object], **how: object) -> object:
        print("downloading the internet …")
        return original(self, images, **how)

    monkeypatch.setattr(fakes, "describe", chatty)
    _, out, err = command("describe", picture(tmp_path / "a.png"), *EYE)
    assert out == "A picture 8 wide, as sentence.\n"
    assert "downloading the internet" in err

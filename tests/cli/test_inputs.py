"""Which files a command line names, and where their results go."""

from __future__ import annotations

from pathlib import Path

from mmdemo.cli.inputs import expand, targets


def test_a_folder_gives_what_the_task_can_read_in_order_and_not_deeper(tmp_path: Path) -> None:
    for name in ("b.wav", "a.MP3", "c.mp4", "d.jpg", "deep/e.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [file.name for file in expand("transcribe", [str(tmp_path)]).files] == ["a.MP3", "b.wav", "c.mp4"]
    assert [file.name for file in expand("caption", [str(tmp_path)]).files] == ["c.mp4"]
    assert [file.name for file in expand("describe", [str(tmp_path)]).files] == ["d.jpg"]


def test_a_named_file_is_tried_whatever_its_ending(tmp_path: Path) -> None:
    (tmp_path / "x.dat").touch()
    found = expand("describe", [str(tmp_path / "x.dat"), "nowhere.png"])
    assert found.files == (tmp_path / "x.dat",)
    assert found.refused == (("nowhere.png", "There is no file nowhere.png: check the path."),)


def test_results_do_not_overwrite_each_other() -> None:
    files = [Path("a/talk.wav"), Path("b/talk.mp3"), Path("c/talk.wav"), Path("d/talk.wav")]
    names = [target.name for target in targets(files, Path("out"), "srt").values()]
    assert names == ["talk.srt", "talk.mp3.srt", "talk.wav.srt", "talk.wav-2.srt"]

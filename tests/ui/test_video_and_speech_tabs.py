"""What the tabs of videos and recordings do with a studio's answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdemo.results import Segment, Track, Transcript
from mmdemo.ui import files, parts
from mmdemo.ui.scratch import scratch
from mmdemo.ui.tabs.speech import Speech
from mmdemo.ui.tabs.video import Video
from tests.ui.handling import FROM, REQUEST, all_of, placed

SEGMENTS = (Segment(0.0, 2.0, "a rabbit", "scene"),)


def test_a_video_becomes_rows_subtitles_and_downloads(studio: Any, tmp_path: Path) -> None:
    tab = placed(Video, studio)
    path = tmp_path / "film.mp4"
    path.write_bytes(b"")
    _, shown = all_of(tab.given(str(path), *tab.form.defaults(), REQUEST))
    assert shown[tab.cues].count("<tr data-mm-seek") == 3
    there = {name: Path(shown[button]["value"]) for name, button in tab.downloads.items()}
    assert {name: file.name for name, file in there.items()} == {n: f"film.{n}" for n in ("srt", "vtt", "json", "txt")}
    assert there["vtt"].read_text().startswith("WEBVTT")
    assert shown[tab.burn]["visible"] is True and len(shown[tab.track].segments) == 3
    assert shown[tab.player] == "", "a file without picture or sound is not handed to the player"


def test_the_player_gets_the_video_itself_and_its_subtitles(studio: Any) -> None:
    tab = placed(Video, studio)
    sample = next(iter(tab.area.samples.values()))
    updates, shown = all_of(tab.tried(sample)(*tab.form.defaults(), REQUEST))
    address = re.search(r'<source src="/gradio_api/file=([^"]+)">', updates[0][tab.player])
    assert address is not None and "<track" not in updates[0][tab.player], "it plays while it is captioned"
    assert Path(address[1]).read_bytes() == sample.read_bytes()
    assert Path(address[1]).is_relative_to(scratch.run), "samples lie elsewhere, where the page may show nothing"
    assert address[0] in shown[tab.player] and "<track default" in shown[tab.player]


def test_a_film_with_captions_is_there_where_the_original_cannot_be_played(studio: Any) -> None:
    tab = placed(Video, studio)
    _, shown = all_of(tab.write_captions(str(files.SAMPLES / "clip.mp4"), Track("clip.mp4", SEGMENTS, FROM), REQUEST))
    film = Path(shown[tab.film]["value"])
    assert film.name == "clip-captions.mp4" and film.stat().st_size > 10_000
    sources = re.findall(r'<source src="([^"]+)"', shown[tab.player])
    assert sources[1:] == [parts.file_url(film)]


def test_nothing_is_left_of_a_film_that_was_stopped(studio: Any) -> None:
    tab = placed(Video, studio)
    before = set(scratch.run.iterdir())
    stream = tab.write_captions(str(files.SAMPLES / "clip.mp4"), Track("clip.mp4", SEGMENTS, FROM), REQUEST)
    next(stream)
    tab.bench._stop(REQUEST)
    _, shown = all_of(stream)
    assert "Stopped" in shown[tab.bench.status] and shown[tab.film]["visible"] is False
    deadline = time.monotonic() + 30
    while set(scratch.run.iterdir()) - before - {scratch.run / "samples"} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(scratch.run.iterdir()) - before <= {scratch.run / "samples"}


def test_speech_streams_segments_and_says_the_language(studio: Any, tmp_path: Path) -> None:
    studio.pause = 0.03
    tab = placed(Speech, studio)
    (tmp_path / "a.wav").write_bytes(b"")
    updates, shown = all_of(tab.given([str(tmp_path / "a.wav")], *tab.form.defaults(), REQUEST))
    counts = [update[tab.result].count("<tr data-mm-seek") for update in updates if tab.result in update]
    assert counts[0] == 0 and counts[-1] == 3 and sorted(counts) == counts
    assert "Language: en (97 %)" in shown[tab.result] and "Length: 00:09.0" in shown[tab.result]
    assert shown[tab.downloads["srt"]]["value"].endswith("a.srt")


def test_recordings_without_words_count_too(studio: Any, tmp_path: Path) -> None:
    def hears(given: Any, options: Any) -> Iterator[Any]:
        for file in given:
            words = (Segment(0.0, 1.0, "hello"),) if file.stem == "b" else ()
            error = "c.wav is empty: choose another." if file.stem == "c" else ""
            yield Transcript(str(file), words, FROM, seconds=9.0, error=error)
            time.sleep(0.03)

    studio.script["transcribe"] = lambda given, options: hears(given, options)
    tab = placed(Speech, studio)
    paths = [str(tmp_path / name) for name in ("a.wav", "b.wav", "c.wav", "d.wav")]
    for path in paths:
        Path(path).write_bytes(b"")
    updates, _ = all_of(tab.given(paths, *tab.form.defaults(), REQUEST))
    told = "".join(str(update.get(tab.bench.status, "")) for update in updates)
    assert "1 of 4 · 25 %" in told and "3 of 4 · 75 %" in told


def test_many_recordings_are_handed_out_as_archives(studio: Any, tmp_path: Path) -> None:
    import zipfile

    tab = placed(Speech, studio)
    paths = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    for path in paths:
        Path(path).write_bytes(b"")
    _, shown = all_of(tab.given(paths, *tab.form.defaults(), REQUEST))
    with zipfile.ZipFile(shown[tab.downloads["srt"]]["value"]) as archive:
        assert archive.namelist() == ["001-a.srt", "002-b.srt"]

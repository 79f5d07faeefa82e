"""Segments as files and back; cues that can be read in time."""

from __future__ import annotations

import itertools
import random

import pysubs2
import pytest

from mmdemo.errors import UnknownName
from mmdemo.media.cues import wrapped
from mmdemo.media.subtitles import FORMATS, as_file, readable, to_srt, to_txt, to_vtt
from mmdemo.results import Segment, Word

TRACK = (
    Segment(0.0, 4.2, "A dog & a <cat> run.", "scene"),
    Segment(1.0004, 3.9996, "Look,\n\n there --> they go!", words=(Word(1.0, 1.5, " Look,", 0.9),)),
    Segment(3661.5, 360_000.25, "Ende, 结束."),
)


def test_srt() -> None:
    assert to_srt(TRACK) == (
        "1\n00:00:00,000 --> 00:00:04,200\nA dog & a <cat> run.\n\n"
        "2\n00:00:01,000 --> 00:00:04,000\nLook,\nthere → they go!\n\n"
        "3\n01:01:01,500 --> 100:00:00,250\nEnde, 结束.\n\n"
    )


def test_vtt_escapes_what_a_browser_would_read_as_markup() -> None:
    assert to_vtt(TRACK) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:04.200\nA dog &amp; a &lt;cat&gt; run.\n\n"
        "00:00:01.000 --> 00:00:04.000\nLook,\nthere --&gt; they go!\n\n"
        "01:01:01.500 --> 100:00:00.250\nEnde, 结束.\n\n"
    )


def test_txt_is_one_segment_a_line() -> None:
    assert to_txt(TRACK) == "A dog & a <cat> run.\nLook, there --> they go!\nEnde, 结束.\n"


def test_times_are_never_negative_or_backwards_and_empty_cues_are_left_out() -> None:
    odd = (Segment(-2.0, 1.0, "a"), Segment(5.0, 3.0, "b"), Segment(6.0, 7.0, " \n "))
    assert to_srt(odd) == "1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:05,000 --> 00:00:05,000\nb\n\n"
    assert to_vtt(odd).count("-->") == 2


def test_nothing_is_still_a_file() -> None:
    assert {name: write(()) for name, write in FORMATS.items()} == {
        "srt": "", "vtt": "WEBVTT\n\n", "txt": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_another_program_reads_what_was_written(name: str) -> None:
    random_ = random.Random(3)
    alphabet = "abc é 你好 12 ,.;:'\"N-\t#"
    for _ in range(50):
        start = 0.0
        given = []
        for _ in range(random_.randrange(1, 8)):
            start = round(start + random_.random() * 5 + 0.001, 3)
            text = " ".join("".join(random_.choices(alphabet, k=random_.randrange(1, 60))).split()) or "x"
            given.append(Segment(start, round(start + random_.random() * 3, 3), text))
        events = pysubs2.SSAFile.from_string(FORMATS[name](given), format_=name)
        read = [(event.start, event.end, event.plaintext) for event in events]
        assert read == [(round(one.start * 1000), round(one.end * 1000), one.text) for one in given]


LONG = (
    "When in the course of human events it becomes necessary for one people to dissolve the political bands. "
    "A decent respect to the opinions of mankind requires that they should declare the causes which impel them."
)


def spoken(text: str, start: float, each: float) -> Segment:
    words = tuple(Word(start + i * each, start + (i + 0.8) * each, " " + w, 0.9) for i, w in enumerate(text.split()))
    return Segment(start, words[-1].end, text, words=words)


def is_readable(cue: Segment) -> bool:
    rows = cue.text.split("\n")
    return len(rows) <= 2 and all(0 < len(row) <= 42 for row in rows) and 0 <= cue.end - cue.start <= 7.0 + 1e-9


def test_long_speech_becomes_cues_at_the_times_of_its_words() -> None:
    cues = readable([spoken(LONG, 10.0, 0.3)])
    assert all(map(is_readable, cues))
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == LONG
    assert [word for cue in cues for word in cue.words] == list(spoken(LONG, 10.0, 0.3).words)
    assert all((cue.start, cue.end) == (cue.words[0].start, cue.words[-1].end) for cue in cues)


def test_a_full_stop_ends_a_cue_that_is_long_enough() -> None:
    text = "This sentence is a little longer than one line. The next one begins a cue of its own."
    assert [cue.text for cue in readable([spoken(text, 0.0, 0.3)])] == [
        "This sentence is a little\nlonger than one line.",
        "The next one begins a cue of its own.",
    ]


def test_without_word_times_the_letters_share_the_time() -> None:
    cues = readable([Segment(100.0, 120.0, LONG)])
    assert all(map(is_readable, cues))
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == LONG
    assert cues[0].start == 100.0
    assert cues[-1].end == pytest.approx(120.0)
    assert all(a.end == pytest.approx(b.start) for a, b in itertools.pairwise(cues))


def test_an_edited_text_wins_over_its_old_words() -> None:
    old = spoken("one two three", 0.0, 1.0)
    (cue,) = readable([Segment(0.0, 3.0, "one too three", words=old.words)])
    assert (cue.text, cue.words) == ("one too three", ())


def test_a_short_segment_stays_and_a_slow_one_is_cut_by_time() -> None:
    assert readable([Segment(1.0, 3.0, "Hello there.")]) == (Segment(1.0, 3.0, "Hello there."),)
    slow = readable([spoken("one two three four five six", 0.0, 3.0)])
    assert all(map(is_readable, slow))
    assert [cue.text for cue in slow] == ["one two", "three four", "five six"]


def test_chinese_is_cut_between_characters_and_counts_double() -> None:
    text = "今天天气很好，我们一起去公园散步吧。" * 6
    cues = readable([Segment(0.0, 20.0, text)])
    assert "".join(cue.text.replace("\n", "") for cue in cues) == text
    assert all(len(row) <= 21 for cue in cues for row in cue.text.split("\n"))
    assert not any(row.startswith(("，", "。")) for cue in cues for row in cue.text.split("\n"))
    words = tuple(Word(i * 0.2, i * 0.2 + 0.2, c, 1.0) for i, c in enumerate("你好世界"))
    assert readable([Segment(0.0, 0.8, "你好世界", words=words)])[0].text == "你好世界"


def test_a_very_long_word_is_broken() -> None:
    cues = readable([Segment(0.0, 6.0, "x" * 200)])
    assert all(map(is_readable, cues))
    assert "".join(cue.text.replace("\n", "") for cue in cues) == "x" * 200


def test_scenes_keep_their_times_and_are_wrapped() -> None:
    (cue,) = readable([Segment(0.0, 15.0, "A woman in a red dress walks along a beach at sunset.", "scene")])
    assert (cue.start, cue.end, cue.kind) == (0.0, 15.0, "scene")
    assert cue.text == "A woman in a red dress walks\nalong a beach at sunset."


def test_two_lines_are_balanced() -> None:
    assert wrapped(["aaaa", "bbbb", "cccc", "dddd"], 16) == ["aaaa bbbb", "cccc dddd"]


def test_any_text_becomes_readable_cues() -> None:
    random_ = random.Random(5)
    for _ in range(300):
        words = ["".join(random_.choices("abc.é你", k=random_.randrange(1, 14))) for _ in range(random_.randrange(60))]
        text = " ".join(words)
        cues = readable([Segment(3.0, 3.0 + random_.random() * 60, text)])
        assert "".join("".join(cue.text.split()) for cue in cues) == "".join(words)
        assert all(map(is_readable, cues))
        assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(cues))


def test_a_subtitle_file_has_readable_cues_in_order_and_plain_text_the_segments() -> None:
    late, long = Segment(0.5, 2.0, "Seen.", "scene"), spoken(LONG, 0.0, 0.4)
    srt = as_file((late, long), "srt")
    assert srt.index("When in the course") < srt.index("Seen.")
    assert srt.count("-->") > 3
    assert as_file((late, long), "txt") == f"Seen.\n{LONG}\n"
    with pytest.raises(UnknownName, match="choose from: srt, vtt, txt"):
        as_file((), "docx")

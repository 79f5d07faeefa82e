"""Every sentence of the core has its Chinese, and the page says it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from mmdemo import catalog, results
from mmdemo.media import audio, files, images
from mmdemo.runtime.sources.base import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.ui import i18n, parts, timeline
from mmdemo.ui.sentences import translate
from mmdemo.ui.tabs.describe import Describe
from mmdemo.ui.tabs.models import Models
from tests.ui.handling import CHINESE, all_of, placed
from tests.ui.raised import Sentences

CHINESE_OF: dict[str, str] = i18n.catalogue()["sentences"]
SYSTEM = {os.strerror(number) for number in errno.errorcode}
"""What the operating system says is put into some sentences."""
SHOWN = {
    "CPU, {0} cores",
    "Apple GPU",
    "your own",
    "The checkpoint in {0}.",
    "From the Hub: {0}.",
    "On the server {0}.",
    "not stated",
} | {words for row in catalog.MODELS.values() for words in (row.about, row.licence) if " " in words}
"""What the header and the Models tab show of devices and checkpoints."""
AWKWARD = ('it\'s "here".jpg', "{0} {} {a}", "v1.2.3 …", "假期（1）；照片。", "12,345.6", "")


@pytest.fixture(scope="module")
def core() -> Sentences:
    return Sentences()


def fields(template: str) -> list[tuple[int, str]]:
    """Numbers and marks, in their order."""
    return [(int(name), mark or "") for _, name, mark, _ in Formatter().parse(template) if name is not None]


def read(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_every_sentence_of_the_core_has_chinese(core: Sentences) -> None:
    assert len(core.found) > 150
    assert {one.where: text for text, one in core.found.items() if text not in CHINESE_OF} == {}


def test_devices_and_checkpoints_are_shown_in_chinese() -> None:
    assert SHOWN - set(CHINESE_OF) == set()
    assert all(re.search("[一-鿿]", CHINESE_OF[words]) for words in SHOWN)


def test_every_sentence_is_written_whole_where_it_is_raised(core: Sentences) -> None:
    assert core.lost == []


def test_no_chinese_is_left_of_a_sentence_that_nothing_says(core: Sentences) -> None:
    assert set(CHINESE_OF) - set(core.found) - SYSTEM - SHOWN == set()


def test_the_chinese_says_all_that_was_put_into_the_english(core: Sentences) -> None:
    for text, one in core.found.items():
        numbers = [number for number, _ in fields(CHINESE_OF[text])]
        assert len(numbers) == len(set(numbers)) or len(set(one.fields)) < len(one.fields), text
        assert {one.fields[number] for number in numbers} == set(one.fields), text
        assert re.search("[一-鿿]", CHINESE_OF[text]), text


def test_the_programs_own_words_in_a_sentence_are_translated_too(core: Sentences) -> None:
    for text, one in core.found.items():
        marked = {number for number, mark in fields(CHINESE_OF[text]) if mark in ("said", "each")}
        said = {one.fields[number] for number in marked}
        assert {one.fields[number] for number in one.spoken} <= said, text
    assert {mark for words in CHINESE_OF.values() for _, mark in fields(words)} == {"", "said", "each"}


@pytest.mark.parametrize("shift", range(len(AWKWARD)))
def test_a_sentence_keeps_what_was_put_into_it(shift: int) -> None:
    for english, chinese in CHINESE_OF.items():
        marks = dict(fields(chinese))
        given, expected = [], []
        for number, _ in fields(english):
            mark = marks.get(number, marks.get(number - 1, ""))  # of two that are the same one may be said
            value = AWKWARD[(number + shift) % len(AWKWARD)]
            given.append({"said": "a picture", "each": f"text; {value}; a video"}.get(mark, value))
            expected.append({"said": "图片", "each": f"文本；{value}；视频"}.get(mark, value))
        plain = re.sub(r"\{(\d+):\w+\}", r"{\1}", chinese)
        assert translate(english.format(*given), "zh") == plain.format(*expected)
        assert translate(english.format(*given), "en") == english.format(*given)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("She has 2.jpg has 5 MB and the limit is 4 MB: cut or compress it, or raise MMDEMO_MAX_MEGABYTES.",
         "She has 2.jpg 有 5 MB，上限为 4 MB：请剪短或压缩，或调高 MMDEMO_MAX_MEGABYTES。"),
        ("There is no subtitle format 'a b'; choose from: srt, vtt.", "没有名为 'a b' 的字幕格式；可选：srt, vtt。"),
        ("a picture is a folder: choose a file in it.", "a picture 是文件夹：请选择其中的一个文件。"),
        ("Labels is 99, but must be at most 20.", "“物体数量”的值是 99，但不能大于 20。"),
        ("x.jpg cannot be opened (Permission denied): check that it is still there.",
         "x.jpg 无法打开（没有权限）：请确认它仍在原处。"),
        ("x.jpg cannot be opened (something odd): check that it is still there.",
         "x.jpg 无法打开（something odd）：请确认它仍在原处。"),
        ("Fetching w 1.0 again: the package index could not be reached for w 1.0",
         "正在重新下载 w 1.0：无法连接软件包索引以下载 w 1.0"),
        ("W could not be fetched (the folder w has no complete checkpoint; HF_HUB_OFFLINE keeps the Hub from being "
         "asked); what works without it: a, b.",
         "无法下载 W（文件夹 w 中没有完整的权重；HF_HUB_OFFLINE 禁止访问 Hub）；不依赖它也能用的有：a, b。"),
        ("Loading Whisper base was stopped.", "已停止加载 Whisper base。"),
        ("rows.csv, row 3 is left out: it has not a label.", "略去 rows.csv, row 3：它没有标签。"),
        ("The longest row took 0.31 s and 96 MB; 40 steps of 16 rows (8 at once) will take about 2 minutes.",
         "最长的一行用了 0.31 秒、96 MB；40 步、每步 16 行（每次计算 8 行）大约需要 2 分钟。"),
        ("Nobody says this.", "Nobody says this."),
        ("", ""),
    ],
)  # fmt: skip
def test_the_closest_sentence_is_taken_and_names_stay_names(english: str, chinese: str) -> None:
    assert translate(english, "zh") == chinese


def test_a_long_sentence_that_is_none_is_given_back_at_once() -> None:
    long = " is a not ( in has : of the package " * 3000
    assert translate(long, "zh") == long


def english_left(html: str, *names: str) -> list[str]:
    """Latin words that are not among `names`."""
    text = read(html)
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return re.findall("[A-Za-z]+", text)


def test_an_unreadable_picture_is_refused_in_chinese(studio: Any, tmp_path: Path) -> None:
    def opens(paths: Sequence[Path], options: Any) -> Iterator[Any]:
        yield Progress("Loading Starter describer")
        images.open_image(paths[0], Settings())

    studio.script["describe"] = opens
    tab = placed(Describe, studio)
    bad = tmp_path / "holiday.jpg"
    bad.write_text("A letter.")
    updates, shown = all_of(tab.dropped([str(bad)], *tab.form.defaults(), CHINESE))
    assert read(shown[tab.bench.status]) == "⚠ holiday.jpg 是文本，不是图片：请选择图片后重试。"
    lines = [read(update[tab.bench.status]) for update in updates if tab.bench.status in update]
    assert any(line.startswith("正在加载 Starter describer") for line in lines)


def test_an_unknown_model_and_too_many_files_are_refused_in_chinese(tmp_path: Path) -> None:
    studio = Studio(Settings(home=str(tmp_path), max_files=1))
    tab = placed(Describe, studio)
    path = str(tmp_path / "a.jpg")
    values = ["no-such" if one is tab.model else default for one, default in zip(tab.form.inputs, tab.form.defaults(),
              strict=True)]  # fmt: skip
    _, shown = all_of(tab.dropped([path], *values, CHINESE))
    unknown = shown[tab.bench.status]
    _, shown = all_of(tab.dropped([path, path], *tab.form.defaults(), CHINESE))
    many = shown[tab.bench.status]
    studio.close()
    assert "没有名为 " in unknown and english_left(unknown.replace("&#x27;", "'"), "no-such", *catalog.MODELS) == []
    assert read(many) == "⚠ 2 个文件超过了一次 1 个的上限：请减少文件，或调高 MMDEMO_MAX_FILES。"


def test_a_model_that_cannot_be_fetched_is_refused_in_chinese(tmp_path: Path) -> None:
    studio = Studio(Settings(home=str(tmp_path), offline=True))
    tab = placed(Models, studio)
    pressed: Any = type("Pressed", (), {"value": "whisper-base", "action": "fetch"})
    _, shown = all_of(tab.act(pressed, CHINESE))
    studio.close()
    assert read(shown[tab.bench.status]) == (
        "⚠ 这台电脑上没有 Whisper base，而 MMDEMO_OFFLINE 禁止下载；如需下载，请设置 MMDEMO_OFFLINE=no。"
    )


def test_one_bad_file_of_many_and_notes_are_chinese(tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    with pytest.raises(files.UnreadableMedia) as refused:
        list(audio.stream_audio(empty, Settings()))
    came = results.Provenance("whisper-base", notes=("No speech was found.",))
    described = results.Description("empty.png", "", came, error=str(refused.value))
    heard = results.Transcript("empty.png", (), came, error=str(refused.value))
    for html in (
        parts.card(described, "", "zh"),
        parts.gallery([described], [""], ["empty.png"], "zh"),
        timeline.transcript(heard, "", "empty.png", "zh"),
        parts.failed(heard, "zh"),
    ):
        assert "empty.png 是空文件（0 字节）：请重新保存或下载。" in html and "bytes" not in html
    assert "没有听到语音。" in parts.provenance(came, "zh")
    assert "No speech was found." in parts.provenance(came, "en")


SOURCE = """
from mmdemo.errors import {names}
WORDS = {{1: "a table's word"}}
def helper(what):
    return InputError(f"Here is {{what}} and {{WORDS[1]}}.")
def one(name, notes):
    notes.append("A note.")
    if name:
        raise InputError("One." if name > 1 else f"Two {{name}} {{{{}}}}.")
    raise helper("an argument")
def two():
    raise {raised}
"""


def found(raised: str) -> Sentences:
    return Sentences({"mmdemo/new.py": SOURCE.format(names="InputError, TooLarge", raised=raised)})


def test_a_new_sentence_is_found_wherever_it_is_built() -> None:
    sentences = found('TooLarge("Much " "too large.")')
    assert set(sentences.found) == {
        "A note.", "One.", "Two {0} {{}}.", "Here is {0} and {1}.", "an argument", "a table's word", "Much too large.",
    }  # fmt: skip
    assert sentences.found["Here is {0} and {1}."].spoken == {0, 1}
    assert sentences.lost == []


@pytest.mark.parametrize("raised", ["'Much ' + why()", "'{} much'.format(3)", "why()"])
def test_a_sentence_that_cannot_be_followed_is_told(raised: str) -> None:
    assert found(f"TooLarge({raised})").lost == [f"mmdemo/new.py:12: {raised}"]


def test_what_a_data_check_finds_is_said_in_chinese_whole(tmp_path: Path) -> None:
    from mmdemo.datasets import read
    from mmdemo.datasets.report import examined

    rows = "text,label\nsame words,a\nsame words,b\nsame words,a\nnot;here\n" + "more,a\n" * 40
    (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
    dataset = read(tmp_path / "rows.csv", Settings(home=str(tmp_path)))
    report = examined(dataset, Settings(home=str(tmp_path)))
    told = [translate(one, "zh") for one in (*report.findings, *report.problems)]
    assert "有两个标签、需要确定其一的内容：1。" in told
    assert "rows.csv 第 4 行以分号分隔，已照此读取。" in told
    assert [one for one in told if not re.search("[一-鿿]", one)] == []

"""What is broken, hostile or odd is refused or repaired with a sentence that names file and row."""

from __future__ import annotations

import json
import os
import stat
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmdemo.datasets import read
from mmdemo.datasets.report import examined
from mmdemo.errors import InputError, StudioError, TooLarge
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, text

ROWS = ("text,label", "good morning,a", "good night,b")


def packed(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def all_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_names_that_lead_out_of_an_archive_write_nothing_outside(tmp_path: Path, settings: Settings) -> None:
    table = "\n".join(ROWS)
    file = packed(
        tmp_path / "evil.zip",
        {
            "../out.txt": "x",
            "/tmp/abs.txt": "x",
            "a/../../b.txt": "x",
            "C:\\c.txt": "x",
            "..\\w.txt": "x",
            "data.csv": table,
        },
    )
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    before = all_files(tmp_path)
    found = read(file, settings)
    assert [row.label for row in found.rows] == ["a", "b"]
    assert sum("has a name that leads out of the archive" in one for one in found.problems) == 5
    assert "evil.zip: link.png is a link and was left out." in found.problems
    new = all_files(tmp_path) - before
    assert {path.name for path in new} == {"data.csv", ".unpacked.json"}
    assert all(path.is_relative_to(Path(settings.home) / "data") for path in new)
    assert not list((Path(settings.home) / "data" / "unpacked").glob("part-*"))


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path, settings: Settings) -> None:
    file = packed(tmp_path / "bomb.zip", {"a.csv": b"0" * 80_000_000})
    with pytest.raises(TooLarge, match=r"bomb\.zip would unpack to 80 MB from 0\.1"):
        read(file, settings)
    small = packed(tmp_path / "lies.zip", {"a.csv": b"0" * 3_000_000})
    data = small.read_bytes()
    data = data.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    small.write_bytes(data)
    with pytest.raises(StudioError, match=r"lies\.zip"):
        read(small, settings)
    many = packed(tmp_path / "many.zip", {f"{n}.txt": "" for n in range(30)})
    with pytest.raises(TooLarge, match=r"many\.zip holds 30 files and the limit is 20"):
        read(many, Settings.load({}, home=settings.home, max_files=20))
    assert all_files(Path(settings.home)) == set()


def test_broken_locked_and_empty_archives(tmp_path: Path, settings: Settings) -> None:
    whole = packed(tmp_path / "a.zip", {"data.csv": "\n".join(ROWS) * 100}).read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.zip").write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"cut\.zip is a broken or unusual zip"):
            read(tmp_path / "cut.zip", settings)
    locked = bytearray(whole)
    at = whole.rindex(b"PK\x01\x02")
    locked[at + 8] |= 1
    locked[6] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(InputError, match="has a password"):
        read(tmp_path / "locked.zip", settings)
    with pytest.raises(InputError, match=r"none\.zip is an empty archive"):
        read(packed(tmp_path / "none.zip", {}), settings)


def test_paths_that_lead_out_are_not_followed(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "s"
    picture(root / "images" / "a.png", 1)
    outside = picture(tmp_path / "secret.png", 2)
    (root / "link.png").symlink_to(outside)
    (root / "inside.png").symlink_to(root / "images" / "a.png")
    names = ["images/a.png", "../secret.png", str(outside), "link.png", "C:\\photos\\a.png", "/home/x/images/a.png",
             "inside.png", "images\\A.PNG"]  # fmt: skip
    lines(root / "metadata.jsonl", [{"file_name": name, "text": "t"} for name in names])
    found = read(root, settings)
    assert [row.origin[-1] for row in found.rows] == ["1", "5", "6", "7", "8"]
    assert all(path.resolve().is_relative_to(root) for row in found.rows for path in row.media)
    assert "metadata.jsonl, row 2: ../secret.png is not there; the row was left out." in found.problems


def test_a_folder_of_too_many_files_is_refused_at_once(tmp_path: Path, settings: Settings) -> None:
    for n in range(3_000):
        (tmp_path / "s" / str(n // 1000)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / str(n // 1000) / f"{n}.jpg").touch()
    start = time.monotonic()
    with pytest.raises(TooLarge, match=r"The folder s has more than 2,500 files"):
        read(tmp_path / "s", Settings.load({}, home=settings.home, max_files=2500))
    assert time.monotonic() - start < 5


def test_a_workbook_that_says_csv(tmp_path: Path, settings: Settings) -> None:
    packed(tmp_path / "new.csv", {"xl/workbook.xml": "<x/>"})
    (tmp_path / "old.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    for name in ("new.csv", "old.csv"):
        with pytest.raises(InputError, match=rf"{name} is an Excel workbook .*save it as CSV \(UTF-8\)"):
            read(tmp_path / name, settings)
    (tmp_path / "web.csv").write_text("<html><table></table></html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"web\.csv is a web page"):
        read(tmp_path / "web.csv", settings)


def test_encodings_alone_and_mixed(tmp_path: Path, settings: Settings) -> None:
    chinese = ("text,label", *(f"今天天气很好我们去公园散步吧第{n}次,好" for n in range(20)), "坏天气,坏")
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "gb18030"):
        found = read(text(tmp_path / f"{encoding}.csv", *chinese, encoding=encoding), settings)
        assert found.rows[0].text == "今天天气很好我们去公园散步吧第0次", encoding
        assert found.rows[-1].label == "坏"
    mixed = tmp_path / "mixed.csv"
    mixed.write_bytes("text,label\nSchöne Grüße,a\n".encode() + "Wir können über die Straße gehen,b\n".encode("cp1252"))
    found = read(mixed, settings)
    assert [row.text for row in found.rows] == ["Schöne Grüße", "Wir können über die Straße gehen"]
    assert found.problems[0].startswith("mixed.csv mixes encodings: line 3 was read as ")


def test_one_foreign_letter_is_no_ground_to_guess_by(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("text,label\ncafé au lait,a\n".encode() + "naïve idea,b\n".encode("latin-1"))
    found = read(file, settings)
    assert [row.text for row in found.rows] == ["café au lait", "naïve idea"]
    assert "line 3 was read as cp1252" in found.problems[0]


def test_three_delimiters_in_one_file(tmp_path: Path, settings: Settings) -> None:
    file = text(
        tmp_path / "t.csv",
        "text,label",
        "one is here,a",
        "two is here;b",
        "three is here\tc",
        "four,is,here,d",
        "five is here,a",
    )
    found = read(file, settings)
    assert [(row.text, row.label) for row in found.rows] == [
        ("one is here", "a"), ("two is here", "b"), ("three is here", "c"), ("four,is,here", "d"),
        ("five is here", "a"),
    ]  # fmt: skip
    assert found.problems == (
        "t.csv, row 2 is separated by semicolon and was read so.",
        "t.csv, row 3 is separated by tab and was read so.",
        "t.csv, row 4 has commas in its text, which was put together.",
    )
    with pytest.raises(InputError, match=r"h\.csv, row 1 mixes comma and semicolon in its header"):
        read(text(tmp_path / "h.csv", "text,label;split", "a,b;train"), settings)


def test_a_quote_that_never_closes_ends_in_a_sentence(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "q.csv").write_bytes(b'iaptioO\nn\na.png,"hO\ni, you"\nb.p')
    with pytest.raises(InputError, match=r"q has no row that can be used"):
        read(tmp_path / "q.csv", settings)
    file = text(tmp_path / "r.csv", "text,label", "good morning,a", '"never closed,b', "good night,b")
    found = read(file, settings)
    assert [row.text for row in found.rows] == ["good morning", "never closed", "good night"]
    assert found.problems == ("r.csv, row 2 has a quote that is not closed; its lines were read one by one.",)


def test_keys_and_columns_that_stand_twice(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "x", "text": "yes", "label": "a"}\n{"text": "no"\n[1]\n7\n', encoding="utf-8"
    )
    found = read(tmp_path / "a.jsonl", settings)
    assert [row.text for row in found.rows] == ["yes"]
    assert found.problems[0] == "a.jsonl, row 1 has the key 'text' twice in one object; the last counts."
    assert found.problems[1].startswith("a.jsonl, row 2 is broken JSON")
    found = read(text(tmp_path / "b.csv", "text,label,label", "one two,a,b"), settings)
    assert (found.rows[0].label, found.rows[0].more) == ("a", {"label (2)": "b"})
    assert found.problems == ("b.csv, row 1 names the column label twice; one is label (2) here.",)


def test_names_that_are_not_utf8_and_media_named_twice(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "s"
    picture(root / "cat" / "a.png", 1)
    picture(root / "dog" / "b.png", 2).rename(root / "dog" / os.fsdecode(b"h\xe4.png"))
    found = read(root, settings)
    assert [(row.origin, row.label) for row in found.rows] == [("cat/a.png", "cat"), (r"dog/h\xe4.png", "dog")]
    assert all(row.content for row in found.rows)

    picture(tmp_path / "t" / "a.png")
    picture(tmp_path / "t" / "b.png")
    lines(
        tmp_path / "t" / "metadata.jsonl",
        [
            {"images": ["a.png", "a.png"], "text": "one"},
            {"images": ["a.png", "b.png"], "text": "two"},
            {"images": [], "text": "x"},
        ],
    )
    found = read(tmp_path / "t", settings)
    assert [row.targets for row in found.rows] == [("one",)]
    assert found.problems[0] == "metadata.jsonl, row 1 names a.png twice; it is used once."
    assert found.problems[1].startswith("metadata.jsonl, row 2 names several files of the kind image")


def test_half_characters_links_in_a_ring_and_folders_that_are_called_files(tmp_path: Path, settings: Settings) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text(
        '{"text": "a \\ud83d b", "label": "x\\udc00", "\\ud800": 1}\n{"text": "\\ud83d\\ude00", "label": "y"}\n'
    )
    found = read(half, settings)
    assert [(row.text, row.label) for row in found.rows] == [("a ? b", "x?"), ("😀", "y")]
    assert json.dumps(examined(found, settings).as_json(), ensure_ascii=False).encode()

    root = tmp_path / "s"
    picture(root / "cat" / "a.png", 1)
    picture(root / os.fsdecode(b"h\xe4se") / "b.png", 2)
    (root / "ring").symlink_to(root)
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    (root / "metadata.csv").mkdir()
    os.mkfifo(root / "pipe.csv")
    found = read(root, settings)
    assert [row.label for row in found.rows] == ["cat", r"h\xe4se"]
    assert found.fingerprint and examined(found, settings).usable


def test_a_million_wrong_rows_make_a_list_that_can_be_read(tmp_path: Path, settings: Settings) -> None:
    picture(tmp_path / "s" / "a.png")
    rows = [{"file_name": "a.png", "text": "here"}, *({"file_name": f"{n}.png", "text": "gone"} for n in range(5_000))]
    lines(tmp_path / "s" / "metadata.jsonl", list(rows))
    found = read(tmp_path / "s", settings)
    assert len(found.rows) == 1 and len(found.problems) == 21
    assert found.problems[-1] == "4,980 more rows or files have the same problem: files that are not there."


def test_nonsense_of_any_kind_never_ends_in_anything_but_a_sentence(tmp_path: Path, settings: Settings) -> None:
    """Seeded: each kind of file, bytes changed, cut and doubled."""
    chat = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ["b", {"text": "c"}]}]}\n'
    whole = {
        "a.csv": "\n".join((*ROWS, '"quoted, ""twice""",a')).encode(),
        "b.json": b'[{"text": "x", "label": 1}, ["a", "b"]]',
        "c.jsonl": chat.encode() * 3, "d.conll": b"EU NNP I-ORG\nrejects V O\n\n-DOCSTART- O\n\nIMGID:1\nA B-PER\n",
        "e.zip": packed(tmp_path / "e", {"x/a.csv": "\n".join(ROWS), "x/b.txt": "b"}).read_bytes(),
        "f.tsv": b"path\tsentence\na.mp3\tx\n", "g.srt": b"1\n00:00:01,000 --> 00:00:02,000\nHi\n",
        "h.json": b'{"train": [["a", "b"]], "val": [["c", "d"]]}',
    }  # fmt: skip
    np.savez(tmp_path / "i.npz", images=np.zeros((2, 3, 3), np.uint8), labels=np.array([0, 1]))
    whole["i.npz"] = (tmp_path / "i.npz").read_bytes()
    random = np.random.default_rng(7)
    sentences = 0
    for turn in range(360):
        name = list(whole)[turn % len(whole)]
        data = bytearray(whole[name])
        for _ in range(int(random.integers(0, 6))):
            at = int(random.integers(0, len(data)))
            match int(random.integers(0, 4)):
                case 0:
                    data[at] = int(random.integers(0, 256))
                case 1:
                    data = data[: at + 1]
                case 2:
                    data[at:at] = random.bytes(int(random.integers(1, 9)))
                case _:
                    data[at:at] = data[: int(random.integers(1, 40))]
        folder = tmp_path / "fuzz" / str(turn)
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        for path in (folder / name, folder):
            try:
                found = read(path, settings)
            except StudioError as error:
                sentences += 1
                assert str(error).strip()
            else:
                assert found.rows and found.fingerprint
                told = json.dumps(examined(found, settings, seconds=1).as_json(), ensure_ascii=False, allow_nan=False)
                assert told.encode()
                assert all("\n" not in one for one in found.problems)
    assert sentences > 50
    assert {path.parent.name for path in tmp_path.iterdir() if path.name == "home"} == {tmp_path.name}

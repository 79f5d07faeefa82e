"""The documents say what is there: files, settings, packages, both languages."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from mmdemo import catalog
from mmdemo.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = "README.md", "README.zh.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)]+)\)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/readme.py; it asks git which files belong to the program."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the program is no git checkout")
    spec = importlib.util.spec_from_file_location("readme_tool", ROOT / "tools" / "readme.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("readme", [ENGLISH, CHINESE])
def test_tree_and_settings_are_those_of_the_program(tool: ModuleType, readme: str) -> None:
    fresh = tool.updated(readme, tool.known_files())
    assert read(readme).splitlines() == fresh.splitlines(), "run: python tools/readme.py"


def test_the_tree_has_a_line_with_words_for_every_file_and_no_other(tool: ModuleType) -> None:
    text = re.search(r"```text\n(.*?)\n```", read(ENGLISH), re.DOTALL)
    assert text
    found: set[str] = set()
    folders: list[str] = []
    for line in text[1].splitlines():
        label, *words = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        depth = (len(line) - len(line.lstrip())) // 2
        if label.endswith("/"):
            folders = [*folders[:depth], label]
        else:
            assert words, f"{label} has no words"
            found.add("".join(folders[:depth]) + label)
        assert (ROOT / "".join(folders[:depth]) / label).exists(), f"{line} does not exist"
    listed = {name for name in tool.known_files() if name.startswith(tool.EACH) and not name.endswith("/__init__.py")}
    assert listed <= found


def test_every_setting_is_in_both_tables() -> None:
    for readme in (ENGLISH, CHINESE):
        rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| ([^|]+) \| ([^|]+) \|$", read(readme), re.MULTILINE)
        assert [name.lower() for name, _, _ in rows] == [field.name for field in fields(Settings)]
    for field in fields(Settings):
        assert f"| {field.metadata['help']} |" in read(ENGLISH)


def test_every_starter_row_is_named_with_its_limits() -> None:
    for readme in (ENGLISH, CHINESE):
        for row in catalog.ROWS:
            assert not row.starter or f"| `{row.key}` |" in read(readme)
    assert "research and education only" in read(ENGLISH)
    assert "仅限研究和教育用途" in read(CHINESE)


def test_the_chinese_readme_is_in_step() -> None:
    english, chinese = read(ENGLISH), read(CHINESE)
    level = re.compile(r"^(#+) ", re.MULTILINE)
    assert level.findall(_prose(english)) == level.findall(_prose(chinese))
    assert _blocks(english) == _blocks(chinese)
    links = [
        [target for target in LINK.findall(text) if target not in (ENGLISH, CHINESE)] for text in (english, chinese)
    ]
    assert links[0] == links[1]
    assert english.count("\n| ") == chinese.count("\n| ")
    assert english.count("\n- ") == chinese.count("\n- ")


@pytest.mark.parametrize(
    "document",
    [
        *(path.name for path in ROOT.glob("*.md")),
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "assets").rglob("*.md")),
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    images = re.findall(r'src="([^"]+)"', read(document))
    for target in [*LINK.findall(_prose(read(document))), *images]:
        if not re.match(r"\w+:|#", target):
            assert ((ROOT / document).parent / target.partition("#")[0]).exists(), f"{document} → {target}"


def test_every_package_has_its_reason_and_every_reason_a_package() -> None:
    pinned = [
        line.partition("==")[0]
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in read(name).splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    reasons = re.findall(r"^\| ([\w-]+) \| (.+) \|$", read("docs/dependencies.md"), re.MULTILINE)
    assert sorted(name for name, why in reasons if name not in ("package", "---")) == sorted(pinned)


def test_every_pin_is_exact() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in read(name).splitlines():
            assert not line or line.startswith(("#", "-r ")) or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_every_sample_has_a_source_and_a_licence() -> None:
    text = read("assets/samples/README.md")
    names = {path.name for path in (ROOT / "assets" / "samples").iterdir()} - {"README.md"}
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert {row[0] for row in rows} == names
    assert all(re.search(r"CC0|CC BY|public domain", row[3]) for row in rows)


def _blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)

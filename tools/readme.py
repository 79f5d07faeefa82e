"""Write the tree and the table of settings into README.md and README.zh.md: `python tools/readme.py`.

The tree is made from the files that git knows or would add, with the first sentence of each file's docstring, so that
it cannot fall behind; a test compares.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mmdemo.settings import PREFIX, Settings  # noqa: E402

READMES = ("README.md", "README.zh.md")
EACH = ("app.py", "mmdemo/", "tools/", "benchmarks/")
"""What is listed file by file; of everything else only what `OTHERS` names."""
OTHERS = {
    "assets/samples/": "pictures, a clip and a recording to try it with; source and licence of each",
    "assets/starter/": "the starter describer's weights and model card",
    "docs/": "architecture, dependencies, decisions, benchmarks, experiments, screenshots",
    "tests/": "mirrors mmdemo/; conftest.py finds the data",
    "tests/browser/": "the page in headless Chromium",
    ".ci/run": "what continuous integration runs: make test",
    "Makefile": "run, setup, test, bench",
    "pyproject.toml": "name, Python version; ruff, mypy and pytest",
    "requirements.txt": "to run, pinned",
    "requirements-dev.txt": "to test, pinned",
    "CHANGELOG.md": "what changed for the user",
    "LICENSE": "Apache-2.0",
}
TEXTS = {
    "strings.json": "the page's words in both languages",
    "style.css": "what the theme cannot reach",
    "page.js": "what the page does in the browser",
}
WIDTH = 34


def known_files() -> list[str]:
    """Every file that git tracks or would add, and that is there."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted({name for name in done.stdout.splitlines() if (ROOT / name).is_file()})


def about(name: str) -> str:
    """The first sentence of a file's docstring, or what `TEXTS` says of it.

    Raises:
        ValueError: for a file that says nothing of itself.
    """
    path = ROOT / name
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    else:
        text = TEXTS.get(path.name, "")
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", " ".join(text.split("\n\n")[0].split()), maxsplit=1)[0]
    if not sentence:
        raise ValueError(f"{name} has no docstring, or no line in tools/readme.py")
    return sentence.rstrip(".")


def tree(files: list[str]) -> str:
    """One line a file, one a folder; a package's line is that of its `__init__.py`."""
    lines: list[str] = []
    entered: set[PurePosixPath] = set()
    each = [name for name in files if name.startswith(EACH) and PurePosixPath(name).name != "__init__.py"]
    for name in sorted(each, key=_order):
        path = PurePosixPath(name)
        for folder in reversed(path.parents[:-1]):
            if folder not in entered:
                entered.add(folder)
                package = folder / "__init__.py"
                has_words = str(package) in files and (ROOT / package).read_text(encoding="utf-8").strip()
                lines.append(_line(folder, "/", about(str(package)) if has_words else ""))
        lines.append(_line(path, "", about(name)))
    for name, text in OTHERS.items():
        if any(file == name or (name.endswith("/") and file.startswith(name)) for file in files):
            lines.append(f"{name:<{WIDTH}}{text}")
    return "\n".join(lines)


def settings_table() -> str:
    """A row for each setting."""
    rows = []
    for field in fields(Settings):
        if isinstance(field.default, bool):
            default = "yes" if field.default else "no"
        else:
            default = f"{field.default:g}" if isinstance(field.default, float) else f"{field.default}" or "empty"
        rows.append(f"| `{PREFIX}{field.name.upper()}` | {default} | {field.metadata['help']} |")
    return "\n".join(rows)


def updated(readme: str, files: list[str]) -> str:
    """The text of a README with its tree and, in the English one, its settings replaced."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    text = re.sub(r"```text\n.*?\n```", lambda _: f"```text\n{tree(files)}\n```", text, count=1, flags=re.DOTALL)
    if readme == READMES[0]:
        text = re.sub(rf"(?:\| `{PREFIX}[^\n]*\n|SETTINGS\n)+", lambda _: settings_table() + "\n", text, count=1)
    return text


def _order(name: str) -> tuple[tuple[int, str], ...]:
    """Files of a folder before its folders, app.py first, both by name."""
    path = PurePosixPath(name)
    first = next(index for index, start in enumerate(EACH) if name.startswith(start))
    return ((first, ""), *((1, part) for part in path.parts[1:-1]), (0, path.name))


def _line(path: PurePosixPath, end: str, text: str) -> str:
    label = "  " * (len(path.parts) - 1) + path.name + end
    return f"{label:<{WIDTH}}{text}".rstrip()


if __name__ == "__main__":
    found = known_files()
    for readme_name in READMES:
        (ROOT / readme_name).write_text(updated(readme_name, found), encoding="utf-8", newline="\n")

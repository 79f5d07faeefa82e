"""A package index, a Hub and wheels, all real enough for the real clients, on this machine's loopback address."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo.catalog import ModelFile, ModelSpec, Source, Wheel
from mmdemo.settings import Settings
from tests.loopback import Served, sha256


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"))


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else: by pip's own settings in the environment."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    only_these(monkeypatch, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))
    return folder


@pytest.fixture
def index(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Publish a wheel on a package index; the path it is downloaded from."""
    only_these(monkeypatch, PIP_INDEX_URL=f"{served.address}/simple/")

    def publish(wheel: Path) -> str:
        project = wheel.name.split("-")[0].replace("_", "-")
        path = f"/files/{wheel.name}"
        served.bodies[path] = wheel.read_bytes()
        served.bodies[f"/simple/{project}/"] = f'<a href="{path}">{wheel.name}</a>'.encode()
        served.headers[f"/simple/{project}/"] = {"Content-Type": "text/html"}
        return path

    return publish


def only_these(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """pip's settings: these, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def build() -> Callable[..., Wheel]:
    """Write a wheel of `members` into a folder, as the catalog would name it."""

    def make(folder: Path, project: str, members: dict[str, bytes]) -> Wheel:
        name = project.replace("-", "_")
        path = folder / f"{name}-1.0.0-py3-none-any.whl"
        info = f"{name}-1.0.0.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return Wheel(project, "1.0.0", sha256(path.read_bytes()), path.stat().st_size)

    return make


@pytest.fixture
def row() -> Callable[..., ModelSpec]:
    """A catalog row that pins `files`."""

    def make(*sources: Source, files: dict[str, bytes] | None = None, key: str = "tiny") -> ModelSpec:
        pinned = tuple(ModelFile(name, sha256(data), len(data)) for name, data in (files or {}).items())
        return ModelSpec(key, "Tiny", "labels", ("classify",), sources, "MIT", "", "", 0, 0, files=pinned)

    return make

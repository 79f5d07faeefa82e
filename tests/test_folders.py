"""Models that were tuned here, as rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmdemo import catalog, folders
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings


def run(
    runs: Path,
    id: str,
    config: dict[str, object],
    about: str = '{"data": "/a/My cats.zip", "model": "whisper-tiny.en"}',
) -> Path:
    """A run folder with a model that was never trained."""
    model = runs / id / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.safetensors").write_bytes(b"\0" * 32)
    (model.parent / "run.json").write_text(about)
    return model


WHISPER = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}


def test_tuned_models_are_rows_with_the_names_of_their_runs_the_newest_first(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    old = run(settings.runs_folder, "20260101-000000-aa", WHISPER)
    new = run(settings.runs_folder, "20260102-000000-bb", {"model_type": "mmdemo_fusion"}, "{}")
    run(settings.runs_folder, "20260103-000000-cc", {"model_type": "unheard-of", "architectures": ["Odd"]})
    (settings.runs_folder / "20260104-000000-dd" / "model").mkdir(parents=True)
    rows = [row for row in Manager(settings).rows() if row.spec.key.startswith(folders.PREFIX)]
    assert [(row.spec.key, row.spec.title, row.spec.tasks) for row in rows] == [
        (f"folder:{new}", "20260102-000000-bb", ("describe",)),
        (f"folder:{old}", "My cats · whisper-tiny.en", ("transcribe",)),
    ]
    assert all(row.cached and not row.loaded for row in rows)
    assert catalog.get(rows[1].spec.key) == rows[1].spec


@pytest.mark.parametrize("about", ["[]", "no json", '{"data": 3}', "{}"])
def test_a_run_without_a_usable_name_has_its_folders(tmp_path: Path, about: str) -> None:
    model = run(tmp_path, "20260101-000000-aa", WHISPER, about)
    assert folders.title_of(model) == "20260101-000000-aa"
    assert folders.title_of(tmp_path / "mine") == "mine"

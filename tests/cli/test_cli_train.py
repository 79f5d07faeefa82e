"""`train`, `evaluate`, `export`: from a table to a zip that runs by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mmdemo.cli import main
from tests.training import toys


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOME": str(tmp_path / "home"), "DEVICE": "cpu", "THREADS": "1", "OFFLINE": "yes"}.items():
        monkeypatch.setenv(f"MMDEMO_{name}", value)


def test_a_table_becomes_a_model_that_is_measured_and_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = toys.bert(tmp_path / "bert"), toys.table(tmp_path / "rows.jsonl", toys.sentences(120))
    out = tmp_path / "run"
    line = ["train", "--task", "text-classification", "--data", str(data), "--model", str(model), "--out", str(out)]
    line += ["--method", "full", "--set", "epochs=20", "--set", "learning_rate=5e-3", "--set", "dropout=0"]
    other = toys.table(tmp_path / "other.jsonl", toys.sentences(20, seed=9))
    assert main([*line, "--set", "batch=16", "--also", str(other)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out / 'model'}\n" and "better" in said.err and "On other.jsonl:" in said.err
    assert json.loads((out / "run.json").read_text())["learning_rate"] == 5e-3

    scored = ["evaluate", "--task", "text-classification", "--data", str(data), "--model", str(out), "--limit", "50"]
    assert main([*scored, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"task", "model", "rows", "metrics", "intervals"} <= set(found)
    assert found["rows"] == 50 and found["metrics"]["accuracy"] > 0.9 and set(found["intervals"]["macro_f1"])
    assert main([*scored, "--also", str(other), "--json"]) == 0
    also = json.loads(capsys.readouterr().out)["also"]
    assert also["rows"] == 20 and also["metrics"]["accuracy"] > 0.9 and set(also["intervals"]) == set(also["metrics"])
    assert main([*scored, "--also", str(other)]) == 0
    said = capsys.readouterr()
    assert "macro avg" in said.out and "other.jsonl, 20 rows" in said.out

    assert main(["train", "--resume", str(out)]) == 0
    assert main(["export", str(out), "--format", "zip", "-o", str(tmp_path / "away.zip")]) == 0
    place = tmp_path / "elsewhere"
    zipfile.ZipFile(tmp_path / "away.zip").extractall(place)
    card = (place / "README.md").read_text(encoding="utf-8")
    assert "| accuracy |" in card and "pipeline_tag: text-classification" in card and "## Licence" in card
    assert "transformers==" in (place / "requirements.txt").read_text()
    script = (place / "run.py").read_text(encoding="utf-8")
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    done = subprocess.run(
        [sys.executable, "run.py", "tom hates the sea"], cwd=place, capture_output=True, text=True, timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and "hates" in done.stdout.split("\t")[1], done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "lerning_rate=1"], "learning_rate"),
        (["--set", "epochs"], "field=value"),
        (["--set", "epochs=many"], "epochs is 'many'"),
        (["--set", "warmup=2"], "at most 1"),
    ],
)
def test_a_wrong_field_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    line = ["train", "--task", "text-classification", "--data", str(tmp_path), "--out", str(tmp_path / "run"), *more]
    with pytest.raises(SystemExit, match="2"):
        main(line)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_and_data_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--resume", str(tmp_path)])
    assert main(["evaluate", "--task", "image-to-text", "--data", str(tmp_path / "gone")]) == 1
    assert main(["export", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "holds no run" in said and "There is no data set at" in said and "has no finished model" in said


def test_settings_are_searched_for_and_the_best_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = toys.bert(tmp_path / "bert"), toys.table(tmp_path / "rows.jsonl", toys.sentences(40))
    line = ["search", "--task", "text-classification", "--data", str(data), "--model", str(model)]
    line += ["--out", str(tmp_path / "search"), "--set", "epochs=1", "--set", "dropout=0", "--set", "batch=8"]
    line += ["--range", "learning_rate=1e-4..1e-2"]
    assert main([*line, "--trials", "2"]) == 0
    said = capsys.readouterr()
    assert "The best of 2 trials: accuracy" in said.err and "--set learning_rate=" in said.out
    with pytest.raises(SystemExit, match="2"):
        main(line)
    assert main(["search", "--resume", str(tmp_path / "search"), "--trials", "3", "--json"]) == 0
    captured = capsys.readouterr()
    assert "holds a search already" in captured.err
    assert [trial["state"] for trial in json.loads(captured.out)["trials"]] == ["complete"] * 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--range", "lerning_rate=1..2"], "learning_rate"),
        (["--range", "epochs=1..no"], "wrong kind"),
        (["--trials", "0"], "at least 1"),
        ([], "--out is needed"),
    ],
)
def test_a_wrong_search_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    out = ["--out", str(tmp_path / "search")] if more else []
    with pytest.raises(SystemExit, match="2"):
        main(["search", "--task", "text-classification", "--data", str(tmp_path), *out, *more])
    assert said in capsys.readouterr().err and not (tmp_path / "search").exists()
    with pytest.raises(SystemExit, match="2"):
        main(["search", "--resume", str(tmp_path)])
    assert "holds no search" in capsys.readouterr().err

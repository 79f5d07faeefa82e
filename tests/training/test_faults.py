"""What goes wrong while it learns ends in one sentence, and in a checkpoint from which it goes on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdemo.datasets.rows import Row
from mmdemo.errors import WeightsError
from mmdemo.settings import Settings
from mmdemo.training import checkpoints
from mmdemo.training.recipes.text_classification import TextClassification
from mmdemo.training.run import run
from tests.training import toys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.bert(tmp_path_factory.mktemp("bert"))


def a_run(tmp_path: Path, model: Path, name: str = "run", **more: Any) -> Path:
    data = tmp_path / "rows.jsonl"
    if not data.exists():
        toys.table(data, toys.sentences(60))
    given = {"batch": 8, "steps": 12, "evaluate_every": 6, "checkpoint_every": 3, "dropout": 0.0}
    return toys.a_run(
        tmp_path / name, **{"task": "text-classification", "data": str(data), "model": str(model), **given, **more}
    )


def last(folder: Path) -> str:
    return str(toys.events_of(folder)[-1]["message"])


def test_a_loss_that_is_no_number_names_the_rows(
    tmp_path: Path, model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TextClassification.loss
    monkeypatch.setattr(TextClassification, "loss", lambda *given: original(*given) * float("nan"))
    folder = a_run(tmp_path, model)
    assert run(folder, settings) == 1
    assert "no number any more at step 1" in last(folder) and "rows.jsonl" in last(folder)


def test_too_little_memory_halves_the_batch_and_changes_nothing_else(
    tmp_path: Path, model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy = a_run(tmp_path, model, "easy")
    assert run(easy, settings) == 0
    original = TextClassification.collate

    def collate(self: TextClassification, examples: Sequence[dict[str, Any]]) -> Any:
        if len(examples) > 3 and torch.is_grad_enabled() and self.model.training:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return original(self, examples)

    monkeypatch.setattr(TextClassification, "collate", collate)
    folder = a_run(tmp_path, model)
    # the plan was made when there was more
    (folder / "plan.json").write_bytes((easy / "plan.json").read_bytes())
    assert run(folder, settings) == 0
    notes = [event["message"] for event in toys.events_of(folder, "note")]
    assert [note for note in notes if "only 4 rows" in note] and [note for note in notes if "only 2 rows" in note]
    losses = [[e["loss"] for e in toys.events_of(one, "progress") if e.get("loss")] for one in (easy, folder)]
    assert losses[1][-1] == pytest.approx(losses[0][-1], abs=1e-3)


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = checkpoints.save_file
    written: list[Path] = []

    def save(tensors: Any, file: Path) -> None:
        written.append(file)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(tensors, file)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", save)
        folder = a_run(tmp_path, model)
        assert run(folder, settings) == 74
    assert "The disk of" in last(folder) and "is full" in last(folder)
    assert [place.name for place in (folder / "checkpoints").glob("step-*")] == ["step-000000003"]
    assert run(folder, settings) == 0
    assert not [place for place in (folder / "checkpoints").iterdir() if place.name.startswith(".")]


def test_a_row_whose_file_is_gone_is_named_and_left_out() -> None:
    from mmdemo.training.data import fit
    from mmdemo.training.recipes.labelled import Labelled

    said: list[str] = []
    rows = [Row("labels.csv, row 2", image=Path("/nowhere/cat.png"), label="cat"), Row("labels.csv, row 3", label="")]
    kept = fit([*rows, Row("labels.csv, row 4", text="x", label="dog")], Labelled, said.append)
    assert [row.origin for row in kept] == ["labels.csv, row 4"]
    assert said == [
        "labels.csv, row 2 is left out: cat.png is not there.",
        "labels.csv, row 3 is left out: it has not a label.",
    ]


def test_an_evaluation_draws_its_rows_from_all_of_them() -> None:
    from mmdemo.training.data import some

    rows = [Row(f"row {place}", text="x", label="first" if place < 50 else "second") for place in range(100)]
    drawn = some(rows, 20, seed=1)
    assert len(set(drawn)) == 20 and {row.label for row in drawn} == {"first", "second"}
    assert drawn == some(rows, 20, seed=1) and len(some(rows, 200, seed=1)) == 100


def test_stopping_at_once_and_going_on(tmp_path: Path, model: Path, settings: Settings) -> None:
    folder = a_run(tmp_path, model)
    assert run(folder, settings, stopping=lambda: True) == 75
    assert toys.events_of(folder)[-1]["kind"] == "stopped"
    assert run(folder, settings) == 0
    assert run(folder, settings) == 0  # it is done: nothing is learned twice
    steps = [event["step"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert steps.count(12) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors, name: tensors.pop(name), "is missing"),
        (lambda tensors, name: tensors.update(odd=torch.zeros(2)), "has no place: 'odd'"),
        (lambda tensors, name: tensors.update({name: torch.zeros(3, 7)}), "has another shape"),
    ],
    ids=["missing", "extra", "shape"],
)
def test_a_checkpoint_with_another_tensor_is_refused_by_its_name(tmp_path: Path, change: Any, said: str) -> None:
    layer, plain = torch.nn.Linear(2, 3), torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    checkpoints.save(tmp_path, checkpoints.State(step=4), layer, checkpoints.flat(plain))
    file = tmp_path / "checkpoints" / "step-000000004" / checkpoints.WEIGHTS
    tensors = load_file(file)
    change(tensors, "weight")
    save_file(tensors, file)
    kept = layer.weight.clone()
    with pytest.raises(WeightsError, match=said):
        checkpoints.load(tmp_path, layer, plain)
    assert torch.equal(layer.weight, kept)


def test_a_torn_checkpoint_ends_in_a_sentence_and_the_run_begins_anew(
    tmp_path: Path, model: Path, settings: Settings
) -> None:
    folder = a_run(tmp_path, model, steps=2, evaluate_every=2)
    assert run(folder, settings) == 0
    file = next((folder / "checkpoints").glob("step-*")) / checkpoints.WEIGHTS
    file.write_bytes(file.read_bytes()[:100])
    assert run(folder, settings) == 1
    assert f"{file} is damaged" in last(folder)
    shutil.rmtree(folder / "checkpoints")
    assert run(folder, settings) == 0


def test_early_stopping_and_the_best_weights_win(tmp_path: Path, model: Path, settings: Settings) -> None:
    folder = a_run(tmp_path, model, steps=200, evaluate_every=2, early_stopping=3, learning_rate=1e-9)
    assert run(folder, settings) == 0
    notes = [event["message"] for event in toys.events_of(folder, "note")]
    assert any("stopped early" in note for note in notes)
    assert max(e["step"] for e in toys.events_of(folder, "metric")) <= 10


def test_minutes_end_a_run_in_time(tmp_path: Path, model: Path, settings: Settings) -> None:
    folder = a_run(tmp_path, model, steps=0, epochs=1000, minutes=0.02, checkpoint_every=0, evaluate_every=0)
    assert run(folder, settings) == 0
    assert toys.events_of(folder)[-1]["kind"] == "done"


def test_a_field_that_does_not_exist_is_said(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text('{"task": "text-classification", "lerning_rate": 1}')
    assert run(folder, settings) == 1
    assert "no option 'lerning_rate'" in last(folder) and "learning_rate" in last(folder)


@pytest.mark.parametrize(
    ("used", "more", "said"),
    [
        ("DEEPSPEED", {}, "DeepSpeed is not used here: choose FSDP, version 2"),
        ("FSDP", {}, "add --fsdp_version 2"),
        ("FSDP", {"task": "text-generation", "method": "qlora"}, "FSDP cannot spread weights of 4 bits"),
    ],
)
def test_a_way_to_spread_a_model_that_is_not_gone_here_is_refused(
    tmp_path: Path, model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, used: str, more: Any, said: str
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{used}", "true")
    monkeypatch.setenv("FSDP_VERSION", "2" if more else "1")
    folder = a_run(tmp_path, model, **more)
    assert run(folder, settings) == 1
    assert said in last(folder)


def test_a_full_disk_is_known_however_a_library_says_it() -> None:
    from mmdemo.training.ending import full

    said = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    outer = ValueError("it did not work")
    outer.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert full(said) and full(outer) and not full(ValueError("no room")) and not full(OSError(errno.EACCES, "no"))

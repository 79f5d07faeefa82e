"""What FSDP spreads over two processes learns as one process does, is stopped, goes on, and is saved the same."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mmdemo.errors import UnknownName
from mmdemo.settings import Settings
from mmdemo.training.checkpoints import FOLDER
from mmdemo.training.run import run
from mmdemo.training.shards import units
from tests.training import toys
from tests.training.test_two_processes import launched, losses, started

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "processes.md"
SPREAD = ("--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP")


def alone_in(home: Path) -> Settings:
    return Settings(home=str(home), threads=1, device="cpu", offline=True)


def shapes(folder: Path, file: str) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in load_file(folder / file).items()}


def spoken(folder: Path) -> list[str]:
    return [str(note["message"]) for note in toys.events_of(folder, "note")]


def curve(folder: Path) -> list[float]:
    """The losses of the first step and of the last, which are always told."""
    told = losses(folder)
    return [told[0], told[-1]]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a run in which every step of an epoch is whole but the last: that has a row for one process only."""
    folder = tmp_path_factory.mktemp("given")
    data = toys.table(folder / "rows.jsonl", toys.sentences(66))
    return {"task": "text-classification", "data": str(data), "model": str(toys.bert(folder / "bert")), "steps": 40,
            "learning_rate": 3e-4, "evaluate_every": 20, "checkpoint_every": 4, "dropout": 0.0}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any]) -> Path:
    """A run of two processes, as the guide says to launch them, that nothing disturbed."""
    place = tmp_path_factory.mktemp("spread")
    settings = place / "fsdp.yaml"
    settings.write_text(GUIDE.read_text("utf-8").split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    folder = toys.a_run(place / "whole", **options, batch=6)
    launched(folder, place / "home", 0, ("--config_file", str(settings)))
    return folder


def test_spread_it_learns_as_one_process_does_with_the_double_batch(
    tmp_path: Path, options: dict[str, Any], whole: Path
) -> None:
    one = toys.a_run(tmp_path / "one", **options, batch=12)
    assert run(one, alone_in(tmp_path / "home")) == 0
    assert curve(whole) == pytest.approx(curve(one), abs=2e-3)
    assert any(
        "FSDP spreads the model over 2 processes: this one holds 11,281 of 22,562" in say for say in spoken(whole)
    )
    assert [event["kind"] for event in toys.events_of(whole)].count("done") == 1
    assert (whole / "model" / "config.json").read_bytes() == (one / "model" / "config.json").read_bytes()
    last = f"{FOLDER}/step-{options['steps']:09d}"
    for file in ("model/model.safetensors", f"{last}/weights.safetensors", f"{last}/optimizer.safetensors"):
        assert shapes(whole, file) == shapes(one, file)


def test_stopped_it_goes_on_to_the_very_weights_of_a_run_that_was_not(
    tmp_path: Path, options: dict[str, Any], whole: Path
) -> None:
    broken = toys.a_run(tmp_path / "broken", **options, batch=6)
    process = started(broken, tmp_path / "home", 0, SPREAD)
    end = time.monotonic() + 120
    while not any((broken / FOLDER).glob("step-*")):
        assert process.poll() is None and time.monotonic() < end, "it does not come to a checkpoint"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert toys.events_of(broken)[-1]["kind"] == "stopped"
    alone = shutil.copytree(broken, tmp_path / "alone")
    launched(broken, tmp_path / "home", 0, SPREAD)
    for file in ("model/model.safetensors", f"{FOLDER}/step-{options['steps']:09d}/optimizer.safetensors"):
        assert (broken / file).read_bytes() == (whole / file).read_bytes(), file

    assert run(alone, alone_in(tmp_path / "home")) == 0, "one process goes on with what two began"
    assert losses(alone)[-1] == pytest.approx(losses(whole)[-1], abs=2e-3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
def test_blocks_are_put_together_by_themselves_also_beside_adapters_and_shared_weights_are_not(tmp_path: Path) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(toys.gpt(tmp_path / "gpt"))
    blocks = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="TRANSFORMER_BASED_WRAP")
    assert units(model, blocks) == ["model.layers.1", "model.layers.0"]
    sizes = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="SIZE_BASED_WRAP", min_num_params=12_000)
    large = units(model, sizes)
    assert {"model.layers.0", "model.layers.0.mlp"} <= set(large) and large.index("model.layers.0.mlp") < large.index(
        "model.layers.0"
    )
    assert not {"model", "model.embed_tokens", "lm_head"} & set(large), "the embedding is the head"
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    assert [name.removeprefix("base_model.model.") for name in units(adapted, blocks)] == units(model, blocks)
    with pytest.raises(UnknownName, match="There is no layer of this model to wrap 'LlamaLayer'"):
        units(model, FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="TRANSFORMER_BASED_WRAP", transformer_cls_names_to_wrap=["LlamaLayer"]
        ))  # fmt: skip


def test_adapters_of_a_spread_model_are_merged_and_kept_as_otherwise(tmp_path: Path) -> None:
    chat = [{"prompt": row["text"], "response": row["label"]} for row in toys.sentences(40)]
    data, model = toys.table(tmp_path / "chat.jsonl", chat), toys.gpt(tmp_path / "gpt")
    common = {"task": "text-generation", "data": str(data), "model": str(model), "method": "lora", "dropout": 0.0,
              "learning_rate": 3e-3, "evaluate_every": 4}  # fmt: skip
    one = toys.a_run(tmp_path / "one", **common, steps=8, batch=4, accumulate=2)
    assert run(one, alone_in(tmp_path / "home")) == 0
    two = toys.a_run(tmp_path / "two", **common, steps=8, batch=2, accumulate=2)
    launched(two, tmp_path / "home", 0, SPREAD)
    assert curve(two) == pytest.approx(curve(one), abs=2e-3)
    for file in ("model/model.safetensors", "model/adapter/adapter_model.safetensors"):
        assert shapes(one, file) == shapes(two, file)
        theirs = load_file(two / file)
        for name, tensor in load_file(one / file).items():
            assert theirs[name].numpy() == pytest.approx(tensor.numpy(), abs=2e-3), name

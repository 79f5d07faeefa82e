"""The catalog is data: what it says must hold together. Folders become rows too."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from mmdemo import catalog
from mmdemo.catalog import Hub, Local, ModelSpec, Pypi
from mmdemo.errors import UnknownName, Unsupported, WeightsError
from mmdemo.runtime import sources
from mmdemo.runtime.backends import BACKENDS
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings

STARTER = {
    "starter-describer",
    "starter-search",
    "whisper-base",
    "whisper-tiny.en",
    "smollm2-135m-instruct",
    "all-minilm-l6-v2",
    "efficientnet-lite2",
}
HEXADECIMAL = set("0123456789abcdef")
every_row = pytest.mark.parametrize("row", catalog.ROWS, ids=lambda row: row.key)


def test_keys_are_unique_and_the_starter_rows_are_these() -> None:
    assert len(catalog.MODELS) == len(catalog.ROWS)
    assert {row.key for row in catalog.ROWS if row.starter} == STARTER


def test_starter_rows_have_a_hub_source_but_those_whose_bytes_are_not_there() -> None:
    """The exceptions and their reason: docs/decisions/0004-starter-weights-from-wheels.md."""
    for key in STARTER - {"starter-describer", "starter-search", "efficientnet-lite2"}:
        assert {type(source) for source in catalog.get(key).sources} == {Pypi, Hub}
    assert catalog.get("efficientnet-lite2").origin.startswith("timm/")
    assert [type(source) for source in catalog.get("starter-describer").sources] == [Local]


def test_there_are_three_that_see_from_a_quarter_billion_to_eight_billion_parameters() -> None:
    sizes = sorted(row.parameters for row in catalog.ROWS if row.backend == "image_text")
    assert len(sizes) >= 3
    assert sizes[0] < 300
    assert 8000 < sizes[-1] < 9000


@every_row
def test_a_row_holds_together(row: ModelSpec) -> None:
    assert quote(row.key, safe="") == row.key, "a key is a folder's name and part of an address"
    assert row.backend in BACKENDS
    assert row.tasks
    assert row.sources
    assert row.licence
    assert row.about.endswith(".")
    assert set(row.parts) <= set(catalog.MODELS) - {row.key}
    assert set(row.styles) <= set(catalog.STYLES)
    assert bool(row.styles) == ("describe" in row.tasks)


@every_row
def test_sizes_add_up_and_checksums_are_whole(row: ModelSpec) -> None:
    if row.files:
        assert sum(file.bytes for file in row.files) == row.bytes
    pinned = [file.sha256 for file in row.files]
    wheels = [wheel for source in row.sources if isinstance(source, Pypi) for wheel in source.wheels]
    for checksum in pinned + [wheel.sha256 for wheel in wheels]:
        assert len(checksum) == 64
        assert set(checksum) <= HEXADECIMAL
    assert len(set(pinned)) == len(pinned)


@every_row
def test_a_package_has_every_pinned_file(row: ModelSpec) -> None:
    names = {file.name for file in row.files}
    for source in row.sources:
        if isinstance(source, Pypi):
            assert names == set(source.members), "what is unpacked is what is checked"


def test_an_unknown_key_lists_the_keys() -> None:
    with pytest.raises(UnknownName, match="no model 'whisper-huge'; choose from: starter-describer, "):
        catalog.get("whisper-huge")


def test_rows_for_a_task_begin_with_the_starter() -> None:
    rows = catalog.having("describe")
    assert rows[0].key == "starter-describer"
    assert all("describe" in row.tasks for row in rows)
    assert [row.starter for row in rows] == sorted((row.starter for row in rows), reverse=True)


def checkpoint(folder: Path, config: dict[str, object], *others: str) -> Path:
    """A folder that looks like a checkpoint."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", *others):
        (folder / name).write_bytes(b"12345678")
    return folder


@pytest.mark.parametrize(
    ("config", "others", "backend", "task", "answers"),
    [
        ({"model_type": "mmdemo_fusion"}, (), "fusion", "describe", False),
        (
            {"model_type": "smolvlm", "architectures": ["SmolVLMForConditionalGeneration"], "vision_config": {}},
            ("chat_template.jinja",), "image_text", "describe", True,
        ),
        (
            {"model_type": "blip", "architectures": ["BlipForConditionalGeneration"], "vision_config": {}},
            (), "image_text", "describe", False,
        ),
        (
            {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]},
            (), "speech_seq2seq", "transcribe", False,
        ),
        (
            {"alignment_heads": []}, ("model.bin", "vocabulary.json", "tokenizer.json"),
            "faster_whisper", "transcribe", False,
        ),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, (), "causal_lm", "talk", False),
        ({"model_type": "bert", "architectures": ["BertModel"]}, (), "embedder", "embed", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_folder_becomes_a_row_by_its_configuration(
    tmp_path: Path, config: dict[str, object], others: tuple[str, ...], backend: str, task: str, answers: bool
) -> None:
    folder = checkpoint(tmp_path / "mine", config, *others)
    row = catalog.get(str(folder))
    assert (row.backend, row.tasks, row.answers, row.title) == (backend, (task,), answers, "mine")
    assert row.sources == (Local(str(folder)),)
    assert row.bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert catalog.get(row.key) == row, "its key finds it again"
    assert bool(row.styles) == (task == "describe")


def test_a_folder_with_a_gguf_file_alone_talks(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert catalog.get(str(tmp_path)).backend == "causal_lm"


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"model_type": "sam", "architectures": ["SamForSegmentation"]}'])
def test_a_folder_that_no_engine_runs_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"json|No engine here runs"):
        catalog.get(str(tmp_path))


def test_a_whisper_folder_without_its_tokenizer_is_refused_before_anyone_asks_the_hub_for_one(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "mine", {"alignment_heads": []}, "model.bin", "vocabulary.json")
    with pytest.raises(WeightsError) as caught:
        catalog.get(str(folder))
    assert str(caught.value) == (
        f"The Whisper model in {folder} has no tokenizer.json: copy it there from the model it was made of."
    )


@pytest.mark.parametrize("name", ["/nowhere/at/all", "../..", "folder:/nowhere", ""])
def test_a_path_without_a_checkpoint_is_an_unknown_name(name: str) -> None:
    with pytest.raises(UnknownName):
        catalog.get(name)


def test_a_folder_of_the_user_is_used_where_it_is_and_never_removed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "mine", {"model_type": "bert", "architectures": ["BertModel"]})
    settings = Settings(home=str(tmp_path / "home"), offline=True)
    row = catalog.get(str(folder))
    assert sources.fetch(row, settings) == folder
    for removal in (lambda: Manager(settings).remove(str(folder)), lambda: sources.remove(row, settings)):
        with pytest.raises(Unsupported):
            removal()
    assert (folder / "model.safetensors").is_file()

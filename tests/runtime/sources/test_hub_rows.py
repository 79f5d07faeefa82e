"""A repository that is no row of the catalog: known before it is fetched, and afterwards without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo import catalog, folders, hub_rows
from mmdemo.errors import Cancelled, InputError, Unreachable, WeightsError
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import arrived, cached, fetch, look, remove, usable_offline
from mmdemo.runtime.sources.hub_choice import choose, eye_for
from mmdemo.runtime.sources.hub_find import Wanted, search
from mmdemo.settings import Settings
from tests.loopback import COMMIT, Served

Publish = Callable[..., None]
LLAMA = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}).encode()
EYES = json.dumps(
    {"architectures": ["SmolVLMForConditionalGeneration"], "model_type": "smolvlm", "vision_config": {}}
).encode()
FILES = {
    "config.json": EYES, "tokenizer.json": b"{}", "chat_template.jinja": b"{{ messages }}", "README.md": b"# Hi",
    "model.safetensors": b"w" * 400_000, "model.fp16.safetensors": b"h" * 50_000, "pytorch_model.bin": b"p" * 100_000,
    "onnx/model.onnx": b"o",
}  # fmt: skip
KEY = "hub:someone/eyes"
CARD = {
    "cardData": {"license": "apache-2.0"}, "pipeline_tag": "image-text-to-text", "gated": False, "downloads": 1234,
    "safetensors": {"parameters": {"BF16": 50_000}, "total": 50_000},
}  # fmt: skip


@pytest.fixture(autouse=True)
def begun(settings: Settings) -> None:
    """A studio with these settings has begun: a key means a row of its."""
    Manager(settings)


@pytest.fixture
def eyes(hub: Publish, settings: Settings) -> Settings:
    """The Hub has `someone/eyes`."""
    hub("someone/eyes", FILES, **CARD)
    return settings


def weights(served: Served) -> list[str]:
    """What was downloaded that is no list and no configuration."""
    return [path for path, _, _ in served.log if not path.endswith(".json") and "/api/" not in path]


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("hub:a/b", ("a/b", "main", "")),
        ("hub:Qwen/Qwen3-VL-2B_x.1", ("Qwen/Qwen3-VL-2B_x.1", "main", "")),
        ("hub:a/b@v1.0", ("a/b", "v1.0", "")),
        ("hub:a/b/c.Q4_K_M.gguf", ("a/b", "main", "c.Q4_K_M.gguf")),
        ("hub:a/b@x/sub/c d.gguf", ("a/b", "x", "sub/c d.gguf")),
    ],
)
def test_a_key_says_where_a_repository_is(key: str, address: tuple[str, str, str]) -> None:
    found = hub_rows.address(key)
    assert (found.repo, found.revision, found.file) == address
    assert found.key == key


def test_no_two_keys_share_a_folder_and_none_leaves_it() -> None:
    keys = ["hub:a/b", "hub:a/b@x", "hub:a/b/x.gguf", "hub:a/b/y/x.gguf", "hub:a/b/y--x.gguf", "hub:a-b/c", "hub:a/b-c"]
    names = {hub_rows.folder_name(key) for key in keys}
    assert len(names) == len(keys)
    assert all(Path(name).name == name and name.startswith("hub--") for name in names)
    assert hub_rows.folder_name("whisper-base") == "whisper-base"


@pytest.mark.parametrize(
    "key",
    ["hub:", "hub:a", "hub:a/", "hub:../b", "hub:a/..", "hub:a/b@", "hub:a/b@..", "hub:a/b/x.bin", "hub:a/b/../x.gguf",
     "hub:a--b/c", "hub:a/b//x.gguf", "hub:a/b/x\\y.gguf", "hub:/a/b", "hub:a/b?x", "hub:a/b\n"],
)  # fmt: skip
def test_a_key_that_names_no_repository_is_refused(key: str) -> None:
    with pytest.raises(InputError, match="names no repository of the Hub: write it as hub:owner/name"):
        catalog.get(key)


def test_a_look_makes_the_row_and_fetches_no_weights(eyes: Settings, served: Served) -> None:
    assert hub_rows.is_unseen(catalog.get(KEY))
    spec = look(catalog.get(KEY), eyes)
    assert catalog.get(KEY) == spec
    assert (spec.key, spec.title, spec.backend, spec.tasks, spec.answers) == (
        KEY, "eyes", "image_text", ("describe",), True,
    )  # fmt: skip
    assert (spec.licence, spec.origin, spec.parameters) == ("apache-2.0", "someone/eyes", 0.05)
    assert spec.bytes == len(EYES) + 2 + len(FILES["chat_template.jinja"]) + 400_000
    assert [path.rpartition("/")[2] for path in weights(served)] == ["chat_template.jinja"]
    assert cached(spec, eyes) is None


def test_a_key_is_fetched_kept_used_offline_and_removed(eyes: Settings, served: Served) -> None:
    folder = fetch(catalog.get(KEY), eyes)
    assert folder == eyes.models_folder / "hub--someone--eyes"
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        "config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", ".complete.json", ".row.json",
    }  # fmt: skip
    assert not any("fp16" in path or ".bin" in path or "onnx" in path for path in weights(served))
    asked = len(served.log)

    offline = Settings(home=eyes.home, offline=True)
    manager = Manager(offline)
    assert manager.fetch(KEY) == folder and manager.absent(KEY) == []
    (row,) = [row for row in manager.rows() if row.spec.key == KEY]
    assert row.cached and not row.loaded and row.disk > 100_000 and row.arrived == 0
    assert KEY in usable_offline(catalog.get("smolvlm2-256m"), offline)
    assert len(served.log) == asked

    assert manager.remove(KEY) > 100_000
    assert not folder.exists() and KEY not in [row.spec.key for row in manager.rows()]
    with pytest.raises(Unreachable, match="eyes is not on this machine, and MMDEMO_OFFLINE keeps it from being"):
        manager.fetch(KEY)


def test_one_that_was_stopped_is_listed_with_what_is_here_of_it(eyes: Settings, served: Served) -> None:
    path = f"/someone/eyes/resolve/{COMMIT}/model.safetensors"
    served.held.add(path)
    with pytest.raises(Cancelled):
        fetch(catalog.get(KEY), eyes, cancelled=lambda: arrived(catalog.get(KEY), eyes) > 100_000)
    (row,) = [row for row in Manager(eyes).rows() if row.spec.key == KEY]
    assert not row.cached and 0 < row.arrived < 400_000


def test_a_row_that_cannot_be_read_is_asked_for_again(eyes: Settings) -> None:
    folder = fetch(catalog.get(KEY), eyes)
    for broken in (b"", b"[]", b"{}", (folder / ".row.json").read_bytes().replace(b"someone", b"another")):
        (folder / ".row.json").write_bytes(broken)
        assert hub_rows.is_unseen(catalog.get(KEY)), broken
        assert cached(catalog.get(KEY), eyes) is None
        assert fetch(catalog.get(KEY), eyes) == folder
        assert catalog.get(KEY).backend == "image_text"


def test_only_pickles_are_refused_before_anything_is_fetched(hub: Publish, settings: Settings, served: Served) -> None:
    hub("someone/old", {"config.json": LLAMA, "pytorch_model.bin": b"p" * 1000})
    with pytest.raises(WeightsError, match="old has its weights in a pickle file, which could run any code"):
        fetch(catalog.get("hub:someone/old"), settings)
    assert weights(served) == []
    assert remove(catalog.get("hub:someone/old"), settings) == 0


def test_what_no_engine_runs_is_refused_before_anything_is_fetched(
    hub: Publish, settings: Settings, served: Served
) -> None:
    config = json.dumps({"architectures": ["SamModel2D"], "model_type": "sam2d"}).encode()
    hub("someone/odd", {"config.json": config, "model.safetensors": b"w"})
    with pytest.raises(WeightsError, match=r"No engine here runs the model in someone/odd \(SamModel2D\): choose"):
        fetch(catalog.get("hub:someone/odd"), settings)
    hub("someone/none", {"README.md": b"# soon"})
    with pytest.raises(WeightsError, match="someone/none on the Hub has no weights that can be opened here"):
        fetch(catalog.get("hub:someone/none"), settings)
    assert weights(served) == []


def test_one_of_several_gguf_files_is_named(
    hub: Publish, settings: Settings, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"tiny.Q{bits}.gguf": b"g" * bits * 100 for bits in (4, 8)} | {"mmproj-tiny.gguf": b"m"}
    hub("someone/tiny-gguf", files, pipeline_tag="text-generation", gguf={"total": 135_000_000})
    with pytest.raises(WeightsError, match=r"2 GGUF files: name one .* hub:someone/tiny-gguf/tiny\.Q4\.gguf, hub:"):
        fetch(catalog.get("hub:someone/tiny-gguf"), settings)
    assert weights(served) == []
    key = "hub:someone/tiny-gguf/tiny.Q4.gguf"
    monkeypatch.setattr(folders, "runs_eyes", lambda: False)
    folder = fetch(catalog.get(key), settings)
    assert {path.name for path in folder.glob("*.gguf")} == {"tiny.Q4.gguf"}
    assert "with the package xllamacpp it would see" in catalog.get(key).about
    spec = catalog.get(key)
    assert (spec.title, spec.backend, spec.tasks, spec.bytes, spec.parameters) == (
        "tiny.Q4.gguf", "causal_lm", ("talk",), 400, 135.0,
    )  # fmt: skip
    with pytest.raises(WeightsError, match=r"someone/tiny-gguf on the Hub has no file tiny\.Q5\.gguf"):
        fetch(catalog.get("hub:someone/tiny-gguf/tiny.Q5.gguf"), settings)


def test_a_gguf_file_that_sees_comes_with_its_eye(hub: Publish, settings: Settings, served: Served) -> None:
    pytest.importorskip("xllamacpp")
    eyes = {f"mmproj-tiny-{kind}.gguf": kind.encode() for kind in ("BF16", "F16", "F32")}
    hub("someone/seeing", {"tiny.Q4.gguf": b"g" * 400, "tiny.Q8.gguf": b"h" * 800, **eyes})
    found = search(Wanted("hub:someone/seeing"), settings)
    assert [(one.key.rpartition("/")[2], one.task, one.bytes) for one in found] == [
        ("tiny.Q4.gguf", "describe", 403), ("tiny.Q8.gguf", "describe", 803),
    ]  # fmt: skip
    key = found[0].key
    folder = fetch(catalog.get(key), settings)
    assert {path.name for path in folder.glob("*.gguf")} == {"tiny.Q4.gguf", "mmproj-tiny-F16.gguf"}
    spec = catalog.get(key)
    assert (spec.backend, spec.tasks, spec.answers, spec.bytes) == ("llama_cpp", ("describe", "talk"), True, 403)
    assert sorted(path.rpartition("/")[2] for path in weights(served)) == ["mmproj-tiny-F16.gguf", "tiny.Q4.gguf"]


@pytest.mark.parametrize(
    ("file", "eyes", "chosen"),
    [
        ("a.gguf", ["mmproj-BF16.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf"),
        ("a.gguf", ["mmproj-F32.gguf", "mmproj-BF16.gguf"], "mmproj-BF16.gguf"),
        ("a.gguf", ["mmproj-model.gguf"], "mmproj-model.gguf"),
        ("Q4/a.gguf", ["Q4/mmproj.gguf", "mmproj-F16.gguf"], "Q4/mmproj.gguf"),
        ("Q4/a.gguf", ["Q8/mmproj.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf"),
        ("mmproj-models/a.gguf", ["Q8/mmproj.gguf"], None),
    ],
)
def test_of_several_eyes_the_one_beside_it_is_taken(file: str, eyes: list[str], chosen: str | None) -> None:
    assert eye_for(file, [file, *eyes]) == ([chosen] if chosen else [])
    where = hub_rows.address(f"hub:a/b/{file}")
    assert choose([file, *eyes], where, sees=True) == [file, *([chosen] if chosen else [])]
    assert choose([file, *eyes], where) == [file]


def test_a_gguf_file_in_a_subfolder_is_put_where_engines_look(hub: Publish, settings: Settings) -> None:
    hub("someone/deep", {"Q4/tiny.gguf": b"g" * 10})
    folder = fetch(catalog.get("hub:someone/deep/Q4/tiny.gguf"), settings)
    assert (folder / "tiny.gguf").read_bytes() == b"g" * 10


def test_a_revision_is_a_row_of_its_own(hub: Publish, settings: Settings, served: Served) -> None:
    hub("someone/eyes", FILES, revision="v2", **CARD)
    folder = fetch(catalog.get(f"{KEY}@v2"), settings)
    assert folder.name == "hub--someone--eyes@v2"
    with pytest.raises(Unreachable, match=r"the Hub has no someone/eyes at 'main', or it is private"):
        fetch(catalog.get(KEY), settings)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "is gated: accept its terms at"),
        (401, "RepoNotFound", "or it is private and needs HF_TOKEN"),
        (404, "RepoNotFound", "the Hub has no someone/eyes at 'main'"),
        (401, "", "set HF_TOKEN to a token that may read it"),
        (403, "", "set HF_TOKEN to a token that may read it"),
    ],
)
def test_why_a_repository_cannot_be_looked_at(
    status: int, code: str, said: str, eyes: Settings, served: Served
) -> None:
    served.refused["/api/models/someone/eyes/revision/main"] = (status, {"X-Error-Code": code} if code else {})
    with pytest.raises(Unreachable, match=said):
        look(catalog.get(KEY), eyes)
    assert not (eyes.models_folder / "hub--someone--eyes").exists()


INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors", "model.fp16.safetensors", "tf_model.h5"], ["model.safetensors"]),
        ([INDEX, ONE, TWO, "consolidated.safetensors", "x.bin"], [ONE, TWO, INDEX]),
        (["weights.safetensors", "model.gguf"], ["weights.safetensors"]),
        (["model.bin", "vocabulary.txt", "config.json", "x.pt"], ["config.json", "model.bin", "vocabulary.txt"]),
        (["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"], ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]),
        (["only.gguf", "mmproj-only.gguf"], ["only.gguf"]),
        (["model.safetensors", "1_Pooling/config.json", "onnx/config.json"],
         ["1_Pooling/config.json", "model.safetensors"]),
    ],
)  # fmt: skip
def test_each_weight_is_taken_once(names: list[str], chosen: list[str]) -> None:
    assert choose(names, hub_rows.address("hub:a/b")) == chosen

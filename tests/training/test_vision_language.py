"""Vision-language models learn answers about pictures, and Describe opens what comes of it at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mmdemo import catalog, torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.settings import Settings
from mmdemo.training.config import TrainOptions
from mmdemo.training.models import base_of
from mmdemo.training.recipes import image_text_to_text
from mmdemo.training.recipes.base import Given
from mmdemo.training.recipes.image_text_to_text import ImageTextToText, parts
from mmdemo.training.run import run
from tests.runtime.backends.tiny_vision import BUILDERS
from tests.training import toys

COLOURS = {"red ball": (220, 10, 10), "the grass": (10, 220, 10)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torchvision_ops.prepare()
    made = {}
    for name in ("smolvlm", "qwen2_5_vl"):
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        BUILDERS[name](made[name])
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


def pictures(folder: Path, count: int) -> Path:
    """Pictures of a colour, and a chat in ShareGPT's form about each."""
    folder.mkdir()
    rows = []
    for place in range(count):
        answer, colour = list(COLOURS.items())[place % 2]
        Image.new("RGB", (32, 32), tuple(part + place for part in colour)).save(folder / f"{place}.png")  # type: ignore[arg-type]
        chat = [{"from": "human", "value": "<image>\nwhat is it"}, {"from": "gpt", "value": answer}]
        rows.append({"images": [f"{place}.png"], "conversations": chat})
    toys.table(folder / "chat.jsonl", rows)
    return folder


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
@pytest.mark.parametrize(("name", "method"), [("smolvlm", "lora"), ("qwen2_5_vl", "full")])
def test_it_learns_answers_and_is_opened_by_describe(
    tmp_path: Path,
    settings: Settings,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    method: str,
) -> None:
    monkeypatch.setattr(image_text_to_text, "ANSWER", 8)
    data = pictures(tmp_path / "data", 14)
    folder = toys.a_run(
        tmp_path / "run", task="image-text-to-text", data=str(data / "chat.jsonl"), model=str(folders[name]),
        method=method, batch=4, steps=30, learning_rate=1e-2 if method == "lora" else 3e-3, evaluate_every=30,
        evaluate_rows=2, validation=0.2, dropout=0.0,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < 0.5 * losses[0]
    spec = catalog.get(f"folder:{folder / 'model'}")
    assert spec.backend == "image_text" and spec.answers
    from mmdemo.runtime.backends.image_text import ImageTextBackend
    from mmdemo.runtime.base import Load

    backend = ImageTextBackend(Load(spec, {spec.key: folder / "model"}, "cpu", 1, quantization="fp32"))
    image = Image.open(data / "0.png").convert("RGB")
    said = list(backend.describe([image], style="sentence", question="what is it", max_words=5))[-1].text
    report = json.loads((folder / "report.json").read_text())
    assert said and report["after"]["metrics"]["rouge_l"] >= report["before"]["metrics"]["rouge_l"]
    if method == "lora":
        from peft import PeftModel
        from transformers import AutoModelForImageTextToText

        base = AutoModelForImageTextToText.from_pretrained(folders[name])
        plain = PeftModel.from_pretrained(base, folder / "model" / "adapter").merge_and_unload()
        whole = AutoModelForImageTextToText.from_pretrained(folder / "model")
        for key, tensor in whole.state_dict().items():
            assert torch.allclose(tensor, plain.state_dict()[key], atol=1e-4), key


@pytest.mark.parametrize("name", ["smolvlm", "qwen2_5_vl"])
def test_the_prompt_and_the_picture_are_masked_in_a_padded_batch(
    tmp_path: Path, settings: Settings, folders: dict[str, Path], name: str
) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    talk = ("user", "what is it"), ("assistant", "a dog"), ("user", "the ball"), ("assistant", "the red ball plays")
    messages = tuple({"role": role, "content": content} for role, content in talk)
    rows = [
        Row("chat", image=tmp_path / "a.png", messages=messages),
        Row("caption", image=tmp_path / "a.png", targets=("grass",)),
    ]
    options = TrainOptions(task="image-text-to-text", method="head")
    recipe = ImageTextToText(Given(options, base_of(str(folders[name]), settings), settings, rows=rows))
    batch = recipe.batch(rows)
    words: Any = recipe.processor.tokenizer
    counted = [words.decode(line[mark != -100]) for line, mark in zip(batch["input_ids"], batch["labels"], strict=True)]
    assert counted == ["a dog<end>\nthe red ball plays<end>\n", "grass<end>\n"]
    learned = {one for one, weight in recipe.model.named_parameters() if weight.requires_grad}
    assert learned and all("connector" in one or "merger" in one for one in learned)


def test_rows_without_a_picture_or_an_answer_are_named() -> None:
    assert ImageTextToText.lacks(Row("")) == "a picture"
    picture = Path("a.png")
    assert ImageTextToText.lacks(Row("", image=picture, text="what")) == "an answer"
    twice = ({"role": "user", "content": "<image><image>"}, {"role": "assistant", "content": "x"})
    assert ImageTextToText.lacks(Row("", image=picture, messages=twice)) == "one picture only"
    assert [one["type"] for one in parts("look <image>\nwhat", None)] == ["text", "image", "text"]

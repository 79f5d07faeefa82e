"""What is taken away runs elsewhere: the script of each task's zip, GGUF in llama.cpp, Whisper in CTranslate2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import soundfile
from PIL import Image

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, Unsupported
from mmdemo.media.audio import RATE
from mmdemo.settings import Settings
from mmdemo.training import config, export, gguf_export, models, recipes
from mmdemo.training.models import settled
from mmdemo.training.recipes.base import Given
from tests.training import toys

NAMED = "wool"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


def finished(
    folder: Path, task: str, model: Path | str, settings: Settings, rows: tuple[Row, ...], **more: Any
) -> Path:
    """A run that ended before its first step: its model is what a recipe begins with, and is saved as every one is."""
    kind = recipes.get(task)
    options = settled(config.TrainOptions(task=task, model=str(model), data="x.csv", device="cpu", **more), kind)
    config.write(options, folder)
    (folder / models.RESULT).mkdir()
    kind(Given(options, models.base_of(str(model), settings), settings, rows=rows)).save(folder / models.RESULT)
    return folder


def unpacked(run: Path, place: Path) -> Path:
    """The run's zip, somewhere else."""
    with zipfile.ZipFile(export.export(run, "zip", place.with_suffix(".zip"))) as archive:
        archive.extractall(place)
    script = (place / "run.py").read_text("utf-8")
    assert len([line for line in script.splitlines()[1:] if line.strip()]) <= 14
    return place


def ran(*calls: tuple[Any, ...]) -> list[str]:
    """Run the script of each place with its arguments; what it printed. One new process for all of them."""
    driver = (
        "import json, os, runpy, sys\n"
        "for place, *arguments in json.loads(sys.argv[1]):\n"
        "    os.chdir(place); sys.argv = ['run.py', *arguments]; sys.path[0] = place\n"
        "    runpy.run_path('run.py'); print('----', flush=True)\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", driver, json.dumps([(str(place), *texts) for place, *texts in calls])],
        cwd=calls[0][0], capture_output=True, text=True, timeout=300, env={**clean, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [part.strip() for part in done.stdout.split("----")[:-1]]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
def test_the_script_of_each_zip_runs_without_the_studio(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, picture = tmp_path / "a.wav", tmp_path / "a.png"
    soundfile.write(sound, [0.0, 0.1] * RATE, RATE)
    Image.new("RGB", (40, 30), (200, 10, 10)).save(picture)
    labels = tuple(Row("", audio=sound, label=name, text="x") for name in ("loud", NAMED))
    whisper, bert, gpt = (make(tmp_path / make.__name__) for make in (toys.whisper, toys.bert, toys.gpt))
    tags = (Row("", tokens=("anna", "runs"), tags=("B-PER", "O")),)
    say = (Row("", text="hi", targets=("yo",)),)
    heard = (Row("", audio=sound, targets=("x",), language="en"),)
    made = (
        ("token-classification", bert, tags, "anna runs"),
        ("text-classification", bert, labels, "anna runs"),
        ("automatic-speech-recognition", whisper, heard, str(sound)),
        ("audio-classification", whisper, labels, str(sound)),
        ("text-generation", gpt, say, "hi"),
    )
    calls = []
    for task, model, rows, argument in made:
        run = finished(tmp_path / task, task, model, settings, rows)
        calls.append((unpacked(run, tmp_path / f"{task}-away"), argument))
    tagged, told, *_, classified, written = ran(*calls)
    assert tagged.startswith("anna runs\t[") and "label" in told
    assert classified.split("\t")[1] in ("loud", NAMED)
    assert written or written == ""

    toys.describer(tmp_path, monkeypatch)
    seen = (Row("", image=picture, targets=("something red",)),)
    monkeypatch.setenv("MMDEMO_HOME", settings.home)
    run = finished(tmp_path / "captions", "image-to-text", tmp_path / "describer", settings, seen)
    (caption,) = ran((unpacked(run, tmp_path / "captions-away"), str(picture)))
    assert caption.split("\t")[0] == str(picture)


@pytest.mark.weights
def test_a_classifier_of_pictures_runs_beside_any_torchvision(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (40, 30), (200, 10, 10)).save(picture)
    rows = tuple(Row("", image=picture, label=name) for name in ("loud", NAMED))
    run = finished(tmp_path / "run", "image-classification", "efficientnet-lite2", Settings.load(), rows)
    (said,) = ran((unpacked(run, tmp_path / "away"), str(picture)))
    assert said.split("\t")[1] in ("loud", NAMED)


LLAMA = """
import json, sys, xllamacpp
how = xllamacpp.CommonParams()
how.model.path, how.n_ctx, how.n_parallel, how.verbosity, how.warmup = sys.argv[1], 256, 1, -1, False
how.cpuparams.n_threads = 1
asked = json.loads(sys.argv[2]) | {"cache_prompt": False}
print(json.dumps(xllamacpp.Server(how).handle_completions(asked)), flush=True)
"""


def llama(file: Path, prompt: str, tokens: int) -> dict[str, Any]:
    """What llama.cpp writes after a prompt, greedily, in a process of its own."""
    asked = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    done = subprocess.run(
        [sys.executable, "-c", LLAMA, str(file), json.dumps(asked)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_language_model_as_gguf_writes_what_it_wrote(tmp_path: Path, settings: Settings) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = toys.gpt(tmp_path / "gpt")
    run = finished(
        tmp_path / "run", "text-generation", model, settings, (Row("", text="hi", targets=("yo",)),), method="full"
    )
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    tuned = AutoModelForCausalLM.from_pretrained(run / "model")
    torch.manual_seed(1)
    with torch.no_grad():  # a model with an opinion: near ties would fall to rounding
        tuned.model.embed_tokens.weight.copy_(torch.randn_like(tuned.model.embed_tokens.weight))
    tuned.save_pretrained(run / "model")
    prompt = "the qx and 12 it's"
    given = tokenizer(prompt, return_tensors="pt")
    made = tuned.generate(**given, max_new_tokens=12, min_new_tokens=12, do_sample=False)
    expected = tokenizer.decode(made[0, given["input_ids"].shape[1] :])
    file = export.export(run, "gguf")
    assert file.name == "run-f16.gguf"
    said = llama(file, prompt, 12)
    assert said["choices"][0]["text"] == expected
    assert said["usage"]["prompt_tokens"] == given["input_ids"].shape[1]
    small = export.export(run, "gguf-q8_0", tmp_path / "small.gguf")
    assert llama(small, prompt, 12)["usage"]["completion_tokens"] == 12
    with pytest.raises(InputError, match="is there already"):
        export.export(run, "gguf")


def test_whisper_for_ctranslate2_hears_what_it_heard(tmp_path: Path, settings: Settings) -> None:
    import ctranslate2
    import numpy as np
    import torch
    from transformers import WhisperForConditionalGeneration

    sound = tmp_path / "a.wav"
    soundfile.write(sound, [0.0, 0.1] * RATE, RATE)
    rows = (Row("", audio=sound, targets=("x",), language="en"),)
    task = "automatic-speech-recognition"
    run = finished(tmp_path / "run", task, toys.whisper(tmp_path / "w"), settings, rows, method="full")
    spectrum = np.random.default_rng(0).standard_normal((1, 80, 3000)).astype(np.float32)
    tuned = WhisperForConditionalGeneration.from_pretrained(run / "model")
    with torch.no_grad():
        expected = tuned.model.encoder(torch.from_numpy(spectrum)).last_hidden_state.numpy()
    packed = ctranslate2.models.Whisper(str(export.export(run, "ctranslate2")), compute_type="float32")
    heard = np.array(packed.encode(ctranslate2.StorageView.from_array(spectrum)))
    assert heard == pytest.approx(expected, abs=0.02)


def test_what_gguf_cannot_say_is_refused(tmp_path: Path, settings: Settings) -> None:
    config = {"model_type": "llama"}
    gguf_export.check(config, "x")
    for wrong, words in (
        ({"model_type": "gpt2"}, "no language model of the Llama kind"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "scaled positions"),
        ({"attention_bias": True}, "biases"),
    ):
        with pytest.raises(Unsupported, match=words):
            gguf_export.check(config | wrong, "x")
    bpe = {"model": {"type": "BPE"}, "normalizer": None}
    steps = [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel"}]
    assert gguf_export.pre_tokenizer({**bpe, "pre_tokenizer": {"type": "ByteLevel"}}, "x") == "gpt-2"
    assert gguf_export.pre_tokenizer({**bpe, "pre_tokenizer": {"pretokenizers": steps}}, "x") == "smollm"
    for odd in ({**bpe, "pre_tokenizer": {"type": "Metaspace"}}, {"model": {"type": "Unigram"}}):
        with pytest.raises(Unsupported, match="cuts text in a way"):
            gguf_export.pre_tokenizer(odd, "x")

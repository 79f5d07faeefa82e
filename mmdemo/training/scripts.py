"""The script of a few lines that an exported model of each task comes with: it needs `transformers`, not the studio."""

from __future__ import annotations

import json
from pathlib import Path

from mmdemo.errors import Unsupported

TEXT = '''"""Run the model: python run.py TEXT…"""
import sys
sys.modules["torchvision"] = None  # not needed, and broken beside a CPU build of torch
from transformers import pipeline

run = pipeline("{task}", model="model", device=-1)
for text in sys.argv[1:]:
    print(text, run(text), sep="\\t")
'''
TAGS = TEXT.replace("device=-1)", 'device=-1, aggregation_strategy="simple")')
CHAT = '''"""Run the model: python run.py QUESTION…"""
import sys
sys.modules["torchvision"] = None  # not needed, and broken beside a CPU build of torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained("model"), AutoModelForCausalLM.from_pretrained("model")
for text in sys.argv[1:]:
    talk = [{"role": "user", "content": text}]
    given = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**given, max_new_tokens=200, do_sample=False)
    print(tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True))
'''
SPEECH = '''"""Run the model: python run.py RECORDING… (16 kHz mono WAV or FLAC)"""
import sys
import soundfile
sys.modules["torchvision"] = None  # not needed, and broken beside a CPU build of torch
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

processor, model = AutoProcessor.from_pretrained("model"), AutoModelForSpeechSeq2Seq.from_pretrained("model")
for file in sys.argv[1:]:
    given = processor(soundfile.read(file)[0], sampling_rate=16000, return_tensors="pt")
    print(processor.batch_decode(model.generate(**given), skip_special_tokens=True)[0].strip())
'''
PICTURE = '''"""Run the model: python run.py PICTURE…"""
import sys
import numpy, torch
from PIL import Image
from mmdemo import torchvision_ops  # in this folder: torchvision beside a CPU build of torch
torchvision_ops.prepare()
from transformers import AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained("model").eval()
form = model.config.pretrained_cfg
for file in sys.argv[1:]:
    image = numpy.asarray(Image.open(file).convert("RGB").resize(form["input_size"][:0:-1], Image.Resampling.BICUBIC))
    given = torch.tensor((image / 255 - form["mean"]) / form["std"], dtype=torch.float32).permute(2, 0, 1)[None]
    print(file, model.config.id2label[int(model(given).logits.argmax())], sep="\\t")
'''
SOUND = '''"""Run the model: python run.py RECORDING… (16 kHz mono WAV or FLAC)"""
import sys
import soundfile
sys.modules["torchvision"] = None  # not needed, and broken beside a CPU build of torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

extractor = AutoFeatureExtractor.from_pretrained("model")
model = AutoModelForAudioClassification.from_pretrained("model").eval()
for file in sys.argv[1:]:
    given = extractor(soundfile.read(file)[0], sampling_rate=16000, return_tensors="pt")
    print(file, model.config.id2label[int(model(**given).logits.argmax())], sep="\\t")
'''
PAIR = '''"""Run the model: python run.py TEXT [PICTURE]"""
import sys
import torch
from PIL import Image
from mmdemo.fusion import classes, pixels  # in this folder
from transformers import AutoTokenizer

model, tokenizer = classes.ENDINGS["{ending}"].from_pretrained("model").eval(), AutoTokenizer.from_pretrained("model")
eye, given = model.config.vision_config, dict(tokenizer(sys.argv[1], return_tensors="pt"))
if sys.argv[2:]:
    seen = pixels.pixels([Image.open(sys.argv[2])], eye.image_size, eye.image_mean, eye.image_std)
    given["pixel_values"] = torch.from_numpy(seen)
best = model(**given).logits[0].argmax(-1)
{told}
'''
ONE = "print(model.config.id2label[int(best)])"
EACH = """for token, tag in zip(tokenizer.convert_ids_to_tokens(given["input_ids"][0]), best.tolist()):
    print(token, model.config.id2label[tag], sep="\\t")"""
CAPTION = '''"""Describe pictures: python run.py PICTURE…"""
import sys
from pathlib import Path
import torch
from PIL import Image
from mmdemo.fusion import checkpoint, pixels  # in this folder
from transformers import AutoTokenizer

model, tokenizer = checkpoint.assemble(Path("model"), Path("eye")), AutoTokenizer.from_pretrained("model")
eye, search = model.config.vision_config, {search}
for file in sys.argv[1:]:
    made = pixels.pixels([Image.open(file)], eye.image_size, eye.image_mean, eye.image_std)
    ids = model.generate(pixel_values=torch.from_numpy(made), max_new_tokens=40, do_sample=False, **search)
    print(file, tokenizer.decode(ids[0], skip_special_tokens=True).strip(), sep="\\t")
'''
LOOK = '''"""Run the model: python run.py PICTURE [QUESTION]"""
import sys
from PIL import Image
sys.modules["torchvision"] = None  # not needed, and broken beside a CPU build of torch
from transformers import AutoModelForImageTextToText, AutoProcessor

processor, model = AutoProcessor.from_pretrained("model"), AutoModelForImageTextToText.from_pretrained("model")
parts = [{"type": "image", "image": Image.open(sys.argv[1]).convert("RGB")},
         {"type": "text", "text": " ".join(sys.argv[2:]) or "Describe this picture in one short sentence."}]
given = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=True,
                                      return_dict=True, return_tensors="pt")
made = model.generate(**given, max_new_tokens=200, do_sample=False)
print(processor.tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True).strip())
'''
TORCH = ("torch", "transformers", "safetensors")
SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "text-classification": (TEXT.replace("{task}", "text-classification"), TORCH),
    "token-classification": (TAGS.replace("{task}", "token-classification"), TORCH),
    "automatic-speech-recognition": (SPEECH, (*TORCH, "soundfile")),
    "image-classification": (PICTURE, (*TORCH, "timm", "torchvision", "pillow")),
    "image-text-classification": (
        PAIR.replace("{ending}", "ForSequenceClassification").replace("{told}", ONE),
        (*TORCH, "timm", "torchvision", "pillow"),
    ),
    "image-text-token-classification": (
        PAIR.replace("{ending}", "ForTokenClassification").replace("{told}", EACH),
        (*TORCH, "timm", "torchvision", "pillow"),
    ),
    "audio-classification": (SOUND, (*TORCH, "soundfile")),
    "text-generation": (CHAT, TORCH),
    "image-to-text": (CAPTION, (*TORCH, "timm", "torchvision", "pillow")),
    "image-text-to-text": (LOOK, (*TORCH, "pillow")),
}
"""Task to its script and the packages that it needs."""
EYE = "eye"
"""The folder beside the model with the weights of its frozen encoder."""
OPS = ("__init__.py", "torchvision_ops.py")
PAIRS = (
    *OPS,
    "errors.py",
    *(f"fusion/{name}.py" for name in ("__init__", "align", "attention", "classes", "config", "encoders", "pixels")),
)
OWN: dict[str, tuple[str, ...]] = {
    "image-classification": OPS,
    "image-text-classification": PAIRS,
    "image-text-token-classification": PAIRS,
    "image-to-text": (
        *OPS,
        "errors.py",
        *(
            f"fusion/{name}.py"
            for name in (
                "__init__", "align", "attention", "checkpoint", "config", "encoders", "fuse", "language", "lstm",
                "model", "pixels", "times",
            )
        ),
    ),
}  # fmt: skip
"""Task to the files of this program that its script imports, which come with it."""


def of(task: str, run: Path) -> tuple[str, tuple[str, ...]]:
    """The script of a task, and the packages that it needs.

    Raises:
        Unsupported: no short script runs it.
    """
    if task not in SCRIPTS:
        raise Unsupported(f"{run.name} is a model that no short script runs: export it as merged.")
    script, packages = SCRIPTS[task]
    found = run / "model" / "generation_config.json"
    known = json.loads(found.read_text("utf-8")) if found.is_file() else {}
    search = {name: known[name] for name in ("num_beams", "no_repeat_ngram_size") if name in known}
    return script.replace("{search}", repr(search)), packages

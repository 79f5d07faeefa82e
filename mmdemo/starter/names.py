"""Make the words and statistics by which a describer names unfamiliar pictures: `python -m mmdemo.starter.names`.

The words come from WordNet 3.0 (its `data.noun`, for instance of Debian's package `wordnet-base`; a class of ImageNet
is a synset of it), the statistics from the encoder's class logits of the pictures that the describer was trained on.
How both are used: `runtime/backends/naming.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmdemo import catalog, private_openvino
from mmdemo.fusion.checkpoint import load_encoder
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.fusion.export import graph_of
from mmdemo.fusion.pixels import pixels
from mmdemo.runtime.backends.naming import STATISTICS_FILE, WORDS_FILE, Floats, Statistics, article
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from mmdemo.starter.captions import read
from mmdemo.starter.features import print_progress

COMPONENTS = 500
QUANTILE = 0.05
"""So many of the training pictures count as unfamiliar themselves; what it costs is in docs/experiments.md."""

KINDS = {
    "animal": "an animal", "dog": "a dog", "cat": "a cat", "big cat": "a big cat", "wolf": "a wolf", "fox": "a fox",
    "bear": "a bear", "monkey": "a monkey", "ape": "an ape", "rodent": "a rodent", "whale": "a whale", "bird": "a bird",
    "bird of prey": "a bird of prey", "aquatic bird": "a water bird", "parrot": "a parrot", "finch": "a finch",
    "fish": "a fish", "shark": "a shark", "reptile": "a reptile", "snake": "a snake", "lizard": "a lizard",
    "turtle": "a turtle", "amphibian": "an amphibian", "frog": "a frog", "salamander": "a salamander",
    "insect": "an insect", "beetle": "a beetle", "butterfly": "a butterfly", "spider": "a spider",
    "crustacean": "a crustacean", "crab": "a crab", "mollusk": "a mollusk", "vehicle": "a vehicle", "car": "a car",
    "truck": "a truck", "train": "a train", "boat": "a boat", "ship": "a ship", "aircraft": "an aircraft",
    "military vehicle": "a military vehicle", "public transport": "public transport", "building": "a building",
    "structure": "a structure", "fence": "a fence", "roof": "a roof", "shop": "a shop", "clothing": "clothing",
    "headdress": "something worn on the head", "hat": "a hat", "footwear": "footwear", "skirt": "a skirt",
    "food": "food", "dish": "a dish", "dessert": "a dessert", "bread": "bread", "beverage": "a drink",
    "edible fruit": "fruit", "vegetable": "a vegetable", "squash": "a squash", "fungus": "a mushroom",
    "furniture": "a piece of furniture", "seat": "a seat", "chair": "a chair", "table": "a table",
    "musical instrument": "a musical instrument", "stringed instrument": "a stringed instrument",
    "wind instrument": "a wind instrument", "percussion instrument": "a percussion instrument",
    "keyboard instrument": "a keyboard instrument", "tool": "a tool", "weapon": "a weapon", "gun": "a gun",
    "ball": "a ball", "game equipment": "a thing to play with", "sports equipment": "sports equipment",
    "bottle": "a bottle", "box": "a box", "bag": "a bag", "pot": "a pot", "container": "a container",
    "timepiece": "a clock or watch", "measuring instrument": "a measuring instrument", "computer": "a computer",
    "electronic equipment": "an electronic device", "home appliance": "a household appliance", "lamp": "a lamp",
    "machine": "a machine", "kitchen utensil": "a kitchen utensil", "geological formation": "a landscape",
    "fabric": "fabric", "mechanism": "a mechanism", "device": "a device",
}  # fmt: skip
"""Kinds that people speak of, by WordNet's first word for them, and how they are called in a sentence."""

PLAIN = (
    "broccoli", "hay", "corn", "guacamole", "consomme", "ice cream", "carbonara", "chocolate sauce", "dough", "velvet",
    "wool", "espresso", "eggnog", "red wine", "toilet tissue", "mashed potato", "meat loaf", "thatch", "chain mail",
    "face powder", "hair spray", "perfume", "lotion", "sunscreen", "rapeseed",
)  # fmt: skip
"""Names that take no article."""

SPOKEN = {"jean": "jeans", "sunglass": "sunglasses", "ear": "ear of corn", "hip": "rose hip", "teddy": "teddy bear",
          "alp": "mountain", "swab": "mop", "bow": "bow", "ashcan": "rubbish bin", "jinrikisha": "rickshaw",
          "hotdog": "hot dog", "cellular telephone": "mobile phone", "upright": "upright piano", "rule": "ruler",
          "slot": "slot machine", "nipple": "bottle teat", "brassiere": "bra", "file": "filing cabinet",
          "pick": "plectrum", "safe": "safe", "cab": "taxi"}  # fmt: skip
"""What a class is called where its first name is not what people say."""

VAGUE = frozenset((
    "entity", "physical entity", "abstraction", "object", "whole", "artifact", "instrumentality", "matter", "substance",
    "part", "relation", "unit", "thing", "causal agent", "cause", "organism", "living thing", "being", "chordate",
    "vertebrate", "placental", "device", "structure", "implement", "equipment", "container", "covering", "conveyance",
    "article", "piece", "system", "solid", "support", "person", "creature", "individual", "someone", "beast",
))  # fmt: skip
"""Words that fit so much that a sentence with one of them says nothing of a label."""

Synsets = dict[str, tuple[list[str], list[str]]]


def synsets(file: Path) -> Synsets:
    """Nouns of WordNet by offset: their words, and the offsets of what they are kinds of.

    The format: wndb(5WN), "Data File Format".
    """
    found: Synsets = {}
    for line in file.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue  # the licence
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = [word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
        start = 5 + 2 * count
        pointers = [fields[start + 4 * index : start + 4 * index + 2] for index in range(int(fields[start - 1]))]
        found[fields[0]] = (words, [offset for symbol, offset in pointers if symbol in ("@", "@i")])
    return found


def ancestors(offset: str, known: Synsets) -> Iterator[str]:
    """A synset, and all that it is a kind of, nearest first."""
    level = [offset]
    while level:
        yield from level
        level = [above for one in level for above in known[one][1]]


def words(known: Synsets, classes: Sequence[tuple[str, str]]) -> dict[str, object]:
    """What `naming.Names` takes. `classes`: the WordNet offset and the name of each of the encoder's classes."""
    phrases, said, kinds = [], [], dict[str, list[int]]()
    for index, (offset, name) in enumerate(classes):
        spoken = SPOKEN.get(name, name)
        phrases.append(article(spoken, PLAIN))
        above = list(ancestors(offset, known))
        called = {word.lower() for one in above for word in known[one][0]} - VAGUE
        said.append(sorted(called | {spoken.lower()}))
        for kind in dict.fromkeys(known[one][0][0] for one in above[1:]):
            if kind in KINDS:
                kinds.setdefault(KINDS[kind], []).append(index)
    return {"phrases": phrases, "kinds": [{"phrase": k, "classes": v} for k, v in kinds.items()], "words": said}


def logits(files: Sequence[Path], folder: Path) -> Floats:
    """The encoder's class logits of pictures, (pictures, classes)."""
    import torch
    from PIL import Image

    config = FusionVisionConfig()
    size = config.image_size
    graph = graph_of(load_encoder(folder), torch.zeros(2, 3, size, size), input=[(-1, 3, size, size)])
    run = private_openvino.load().Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = []
    for start in range(0, len(files), 16):
        images = [Image.open(file).convert("RGB") for file in files[start : start + 16]]
        found.append(run(pixels(images, size, config.image_mean, config.image_std))[1])
        print_progress(start + len(images), len(files))
    whole: Floats = np.concatenate(found)
    return whole


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mmdemo.starter.names", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with metadata.jsonl: what it was trained on")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    parser.add_argument("--out", type=Path, default=Path("assets/starter"))
    given = parser.parse_args()
    from timm.data import ImageNetInfo

    info, known = ImageNetInfo(), synsets(given.wordnet)
    classes = [
        (offset[1:], info.index_to_description(index).split(",")[0]) for index, offset in enumerate(info.label_names())
    ]
    line = json.dumps(words(known, classes), separators=(",", ":"))
    (given.out / WORDS_FILE).write_text(line + "\n", encoding="utf-8")
    encoder = fetch(catalog.get("efficientnet-lite2"), Settings.load())
    seen = logits([row.file for row in read(given.data, "train")], encoder)
    Statistics.of(seen, COMPONENTS, QUANTILE).save(given.out / STATISTICS_FILE)


if __name__ == "__main__":
    main()

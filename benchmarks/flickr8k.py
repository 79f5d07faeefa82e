"""One cell of the table of Flickr8k: `python -m benchmarks.flickr8k --data DIR --fusion concat --language lstm`.

A chain is composed, learns captions and is scored by CIDEr; or an alignment (`--align`) learns and is scored by who
finds whom, or by naming the subject. Frozen encoders look once, what they see is kept. The weights of the last step are
scored, so that nothing is chosen on the validation split.

Whom a picture shows (`SUBJECTS`) is what its captions say: at least three of five name one of four, and none names
another. Other pictures have no label and are left out: the question is easier than one about all pictures.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmdemo.chains import FUSIONS, PROJECTORS, Compose
from mmdemo.datasets.rows import Row
from mmdemo.errors import StudioError

ALIGNMENTS = ("siamese", "linear", "svm")
"""Two towers with contrastive loss; a linear head with cross-entropy; a linear SVM on the same features."""
SUBJECTS = {
    "dog": "dog dogs puppy puppies",
    "child": "child children boy boys girl girls kid kids toddler baby",
    "man": "man men guy",
    "woman": "woman women lady",
}
LABELLED = 3
"""Captions that have to name the subject."""
DOCUMENT = Path(__file__).parents[1] / "docs" / "experiments.md"
BEGIN, END = "<!-- flickr8k: begin -->", "<!-- flickr8k: end -->"
HEAD = (
    "cell", "learned from", "steps", "epochs", "CIDEr", "text → picture @1, 5, 10", "picture → text @1, 5, 10",
    "accuracy", "trainable", "s per epoch", "scored on", "date",
)  # fmt: skip
NONE = "–"


@dataclass(frozen=True)
class Budget:
    """How much a cell may cost; 0: no limit, and for `epochs` what suits the data.

    Attributes:
        pictures, validate: to learn from and to score, drawn from their splits.
    """

    minutes: float = 0.0
    epochs: int = 0
    pictures: int = 0
    validate: int = 0
    seed: int = 0


def chain(data: Path, settings: Any, asked: Compose, budget: Budget) -> dict[str, str]:
    """Compose a chain, let it learn captions, and score it: a row of the table.

    Raises:
        StudioError: as composing and learning raise.
    """
    from mmdemo.training import composing

    train, held = _rows(data, "image-to-text", settings, budget)
    with tempfile.TemporaryDirectory() as folder:
        made = composing.write(asked, Path(folder) / "chain", settings, _report)
        recipe, about = _learned("image-to-text", str(made), asked.method, train, held, settings, budget)
        found = recipe.scores(held, recipe.predict(held)).values
    writer = f"{asked.language} + LoRA" if asked.method == "lora" else asked.language
    name = f"{asked.fusion} × {Path(writer).name}, {asked.projector}"
    return {"cell": name, **about, "CIDEr": f"{found['cider']:.3f}"}


def siamese(data: Path, settings: Any, budget: Budget, model: str = "") -> dict[str, str]:
    """Two towers: recall of the sentences and the pictures, and the subject as the nearest of four sentences."""
    train, held = _rows(data, "text-image-retrieval", settings, budget)
    recipe, about = _learned("text-image-retrieval", model, "auto", train, held, settings, budget)
    found = recipe.scores(held, recipe.predict(held)).values
    asked = [replace(row, targets=(f"a {row.label}",)) for row in labelled(held)]
    named = recipe.scores(asked, recipe.predict(asked)).values["to_text_1"] if asked else None
    recalls = {
        side: ", ".join(f"{100 * found[f'{name}_{k}']:.1f}" for k in (1, 5, 10)) + " %"
        for side, name in ((HEAD[5], "to_media"), (HEAD[6], "to_text"))
    }
    told = {} if named is None else {"accuracy": f"{named:.3f} of {len(asked)}, never told the labels"}
    return {"cell": f"siamese, {recipe.model.config.projector}", **about, **recalls, **told}


def classified(data: Path, settings: Any, budget: Budget, how: str) -> dict[str, str]:
    """The subject by a linear head, or by an SVM on the same features."""
    train, held = (labelled(rows) for rows in _rows(data, "image-to-text", settings, budget))
    if how == "linear":
        recipe, about = _learned("image-classification", "", "auto", train, held, settings, budget)
        said = recipe.predict(held)
    else:
        said, about = _svm(train, held, settings, budget)
    score = sum(one == row.label for one, row in zip(said, held, strict=True)) / len(held)
    commonest = Counter(row.label for row in train).most_common(1)[0][0]
    chance = sum(row.label == commonest for row in held) / len(held)
    return {"cell": how, **about, "accuracy": f"{score:.3f} of {len(held)} (always {commonest}: {chance:.3f})"}


def _svm(train: Sequence[Row], held: Sequence[Row], settings: Any, budget: Budget) -> tuple[list[str], dict[str, str]]:
    import numpy as np

    from mmdemo.fusion import svm

    recipe = _recipe("image-classification", "", "auto", train, settings, budget)
    recipe.prepare((*train, *held), _reading)
    features = np.stack(list(recipe.features.many(train))).astype(np.float32)
    began = time.monotonic()
    weights, bias = svm.fit(features, np.array([recipe.place(row.label) for row in train]))
    about = _about(train, held, weights.size + bias.size, "all at once", 1.0, time.monotonic() - began)
    scores = np.stack(list(recipe.features.many(held))).astype(np.float32) @ weights.T + bias
    return [recipe.labels[best] for best in scores.argmax(1)], about


def labelled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows whose captions agree on one of `SUBJECTS`, with it as their label."""
    kept = []
    for row in rows:
        said = {name: sum(bool(_words(text) & set(words.split())) for text in row.targets) for name, words in
                SUBJECTS.items()}  # fmt: skip
        there = [name for name, count in said.items() if count]
        if len(there) == 1 and said[there[0]] >= min(LABELLED, len(row.targets)):
            kept.append(replace(row, label=there[0]))
    return tuple(kept)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def _rows(data: Path, task: str, settings: Any, budget: Budget) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to learn from, and to score: those of the validation split."""
    from mmdemo.training import data as rows_of
    from mmdemo.training import recipes

    dataset = rows_of.opened(str(data), settings)
    most = (budget.pictures, budget.validate)
    found = []
    for rows, count in zip((dataset.split("train"), dataset.split("validation")), most, strict=True):
        usable = rows_of.fit(rows, recipes.get(task), _note)
        found.append(rows_of.some(usable, count, budget.seed) if count else usable)
    return found[0], found[1]


def _recipe(task: str, model: str, method: str, train: Sequence[Row], settings: Any, budget: Budget) -> Any:
    import torch

    from mmdemo.runtime import device
    from mmdemo.training import loop, models, recipes
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.recipes.base import Given

    kind = recipes.get(task)
    asked = TrainOptions(
        task=task, model=model, method=method, minutes=budget.minutes, epochs=budget.epochs, seed=budget.seed
    )
    options = models.settled(asked, kind)
    torch.set_num_threads(settings.threads or device.cores())
    loop.seed(budget.seed, 0)
    return kind(Given(options, models.base_of(options.model, settings), settings, "cpu", train, _note))


def _learned(
    task: str, model: str, method: str, train: Sequence[Row], held: Sequence[Row], settings: Any, budget: Budget
) -> tuple[Any, dict[str, str]]:
    """A recipe that has learned, and what it took."""
    from accelerate import Accelerator

    from mmdemo.training import checkpoints, plan, shards
    from mmdemo.training.events import Events
    from mmdemo.training.loop import Loop

    recipe = _recipe(task, model, method, train, settings, budget)
    recipe.prepare((*train, *held), _reading)
    chosen = plan.decide(recipe.options, recipe, train, 1, 0.0, _note, recipe.model)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        learner = shards.lay(Accelerator(cpu=True), recipe.model, chosen.weight_decay, _note)
        state = Loop(recipe, learner, train, chosen, place, Events(place, _told), None, lambda: False).run()
    trainable = sum(one.numel() for one in checkpoints.trained(recipe.model).values())
    epochs = state.step / chosen.per_epoch
    return recipe, _about(train, held, trainable, f"{state.step} of {chosen.rows}", epochs, state.seconds)


def _about(
    train: Sequence[Row], held: Sequence[Row], trainable: int, steps: str, epochs: float, seconds: float
) -> dict[str, str]:
    return {
        "learned from": f"{len(train):,} pictures", "steps": steps, "epochs": f"{epochs:.1f}",
        "trainable": f"{trainable / 1e6:.2f} M" if trainable >= 10_000 else f"{trainable:,}",
        "s per epoch": f"{seconds / epochs:.1f}", "scored on": f"{len(held):,}",
        "date": datetime.date.today().isoformat(),
    }  # fmt: skip


def written(document: str, row: dict[str, str]) -> str:
    """`document` with the row of a cell in its block replaced, or added.

    Raises:
        ValueError: if the document has no such block.
    """
    before, found, rest = document.partition(BEGIN)
    inside, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{DOCUMENT} needs the lines {BEGIN} and {END}")
    lines = [line for line in inside.strip().splitlines() if line.startswith("| ")][2:]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    rows[row["cell"]] = _line([row.get(name, NONE) for name in HEAD])
    table = "\n".join([_line(HEAD), _line(["---"] * len(HEAD)), *(rows[name] for name in sorted(rows))])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _note(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


def _report(progress: Any) -> None:
    _note(str(progress.stage))


def _reading(done: int, total: int) -> None:
    if done % 200 == 0:
        _note(f"Looking at the pictures: {done} of {total}")


def _told(event: dict[str, Any]) -> None:
    if event["kind"] == "note":
        _note(event["message"])


def main(given: Sequence[str] | None = None) -> int:
    """Learn and score one cell; print its row, and with --write keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flickr8k", description="One cell of the table.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set of captioned pictures")
    parser.add_argument("--fusion", choices=FUSIONS, default="concat", help="of a chain")
    parser.add_argument("--language", default="transformer", help="of a chain: transformer, lstm, or a key")
    parser.add_argument("--projector", choices=PROJECTORS, default="mlp", help="of a chain")
    parser.add_argument("--align", choices=ALIGNMENTS, help="an alignment instead of a chain")
    parser.add_argument("--minutes", type=float, default=0.0, help="of learning at most; 0: no limit")
    parser.add_argument("--epochs", type=int, default=0, help="0: what suits the data")
    parser.add_argument("--pictures", type=int, default=0, help="to learn from; 0: all")
    parser.add_argument("--validate", type=int, default=0, help="pictures to score; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"keep the row in {DOCUMENT.name}")
    asked = parser.parse_args(given)
    from mmdemo.settings import Settings

    settings = Settings.load()
    budget = Budget(asked.minutes, asked.epochs, asked.pictures, asked.validate, asked.seed)
    parts = Compose(fusion=asked.fusion, language=asked.language, projector=asked.projector)
    try:
        if asked.align == "siamese":
            row = siamese(asked.data, settings, budget)
        elif asked.align:
            row = classified(asked.data, settings, budget, asked.align)
        else:
            row = chain(asked.data, settings, parts, budget)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{name}: {row.get(name, NONE)}" for name in HEAD))
    if asked.write:  # read only now: another cell may have been written meanwhile
        document = written(DOCUMENT.read_text(encoding="utf-8"), row)
        DOCUMENT.write_text(document, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

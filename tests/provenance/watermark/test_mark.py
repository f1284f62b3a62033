"""A mark drawn through the two hooks is found by detection; only active keys draw one."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from provenance.watermark.colouring import pairs
from provenance.watermark.detect import Bank, Outcome, View, detect
from provenance.watermark.errors import UnusableKey
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.mark import Mark, Swaps, Trades
from provenance.watermark.scheme import Scheme
from provenance.watermark.trade import Likeness

CODES = 256
PARTNER = (np.arange(CODES) ^ 1).astype(np.int32)
NONE = np.zeros(CODES, bool)
KEY = Key(b"k" * 32, "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
SCHEME = Scheme("pairs/1", "scales-64", b"c" * 32, pairs(PARTNER), scales=2)
SWAPS = Swaps(PARTNER, NONE, None)
TRADES = Trades(Likeness(torch.arange(CODES)[:, None] / CODES, weight=0.0), 6.0)


@dataclass(frozen=True)
class At:
    scale: int | None


@dataclass(frozen=True, eq=False)
class Tokens:
    tokens: NDArray[np.int64]
    margin: NDArray[np.float64]


def draw(mark: Mark, scale: int | None, n: int) -> NDArray[np.int64]:
    """Tokens (n,) drawn from random logits through both hooks, one position a step."""
    rng = torch.Generator().manual_seed(scale or 0)
    drawn: list[Tensor] = []
    for _ in range(n):
        logits = 2 * torch.randn(1, CODES, generator=rng)
        favoured = mark.favour(At(scale), logits)
        ids = torch.multinomial(favoured.softmax(-1), 1, generator=rng)[:, 0]
        drawn.append(mark.swap(At(scale), ids, favoured))
    return torch.cat(drawn).numpy()


def outcome(mark: Mark) -> Outcome:
    grids = [draw(mark, scale, 60) for scale in range(2)]
    readings = tuple(Tokens(grid, np.ones(len(grid))) for grid in grids)
    view = View(b"c" * 32, "as it is", readings)
    return detect([view], [Bank(SCHEME, [KEY])], planned=1).outcome


@pytest.mark.parametrize(
    ("delta", "swaps"), [(3.0, None), (math.inf, None), (0.0, SWAPS), (1.0, SWAPS), (0.0, TRADES)]
)
def test_either_hook_alone_and_both_together_leave_a_mark(
    delta: float, swaps: Swaps | Trades | None
) -> None:
    assert outcome(Mark(SCHEME, KEY, 0, delta=delta, swaps=swaps)) is Outcome.DETECTED


def test_neither_hook_leaves_nothing() -> None:
    assert outcome(Mark(SCHEME, KEY, 0, delta=0.0, swaps=None)) is Outcome.NOT_DETECTED


def test_a_model_without_scales_samples_at_the_first() -> None:
    mark = Mark(SCHEME, KEY, 0, delta=math.inf, swaps=None)
    assert SCHEME.green(KEY, 0, 0)[draw(mark, None, 40)].all()
    assert SCHEME.green(KEY, 0, 1)[draw(mark, 1, 40)].all()


@pytest.mark.parametrize("state", [state for state in KeyState if state is not KeyState.ACTIVE])
def test_only_an_active_key_marks(state: KeyState) -> None:
    with pytest.raises(UnusableKey, match=r"acme\.1"):
        Mark(SCHEME, replace(KEY, state=state), 0, delta=1.0, swaps=None)

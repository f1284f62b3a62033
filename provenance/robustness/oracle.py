"""Hill climbing against a detector that answers: what a public score gives away.

The attacker changes one token at a time to a code that looks alike and keeps the change when the
detector's evidence does not move the wrong way. It knows nothing else of the mark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.integer]  # (T,)
Oracle = Callable[[Tokens], float]


@dataclass(frozen=True)
class Climb:
    """Where the attacker got to, the evidence after each query, and the share of tokens changed."""

    tokens: Tokens
    evidence: tuple[float, ...]
    changed: float


def climb_down(
    tokens: Tokens,
    alike: NDArray[np.integer],
    oracle: Oracle,
    *,
    queries: int,
    rng: np.random.Generator,
) -> Climb:
    """Remove a mark; alike is (V, K), the K codes that may stand for each code."""
    return _climb(tokens, alike, oracle, -1.0, queries, rng)


def climb_up(
    tokens: Tokens,
    alike: NDArray[np.integer],
    oracle: Oracle,
    *,
    queries: int,
    rng: np.random.Generator,
) -> Climb:
    """Forge a mark; alike is (V, K), the K codes that may stand for each code."""
    return _climb(tokens, alike, oracle, 1.0, queries, rng)


def _climb(
    tokens: Tokens,
    alike: NDArray[np.integer],
    oracle: Oracle,
    sign: float,
    queries: int,
    rng: np.random.Generator,
) -> Climb:
    best, height = tokens.copy(), oracle(tokens)
    trail = []
    for _ in range(queries):
        position = int(rng.integers(best.size))
        tried = best.copy()
        tried[position] = rng.choice(alike[tokens[position]])
        reached = oracle(tried)
        if sign * reached >= sign * height:
            best, height = tried, reached
        trail.append(height)
    return Climb(best, tuple(trail), float(np.mean(best != tokens)))

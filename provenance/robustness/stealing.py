"""Attacks on the lists themselves: steal them from marked pictures, forge, climb by the detector.

The attacker knows the codec, so it has the tokens of N marked pictures and of a corpus of
unmarked ones, and nothing of the key. A single list falls to counting; a pool of lists first has
to be pulled apart (a mixture of as many lists, expectation-maximisation). What is stolen is
measured by the share of the token mass that gets its true colour, and by what a forged grid
scores with the real detector. Grids are (N, T) codes below V; every draw takes its generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Grids = NDArray[np.integer]  # (N, T) codes of N pictures
Green = NDArray[np.bool_]  # (V,) a list, (L, V) a pool
Mass = NDArray[np.float64]  # (V,) how often a code occurs in unmarked pictures, sums to 1
Evidence = Callable[[NDArray[np.integer]], float]  # (T,) codes -> the detector's evidence

ROUNDS = 60  # of expectation-maximisation; it settles in 10 to 40
PRIOR = 0.5  # counts added to a code that the corpus expects once


def mass(corpus: Grids, codes: int) -> Mass:
    """The share of each code in unmarked grids, half a count added so that none is 0."""
    counts = np.bincount(corpus.ravel(), minlength=codes) + 0.5
    return np.asarray(counts / counts.sum(), np.float64)


def steal_list(marked: Grids, clean: Mass) -> Green:
    """(V,) the codes that occur more often in the marked grids than in unmarked ones."""
    counts = np.bincount(marked.ravel(), minlength=clean.size)
    return np.asarray(counts > marked.size * clean, np.bool_)


def steal_pool(
    marked: Grids, clean: Mass, *, lists: int, restarts: int, rng: np.random.Generator
) -> Green:
    """(lists, V) one stolen list for each component of the likeliest mixture found."""
    if len(marked) < lists:
        raise ValueError(f"{len(marked)} pictures cannot be told apart into {lists} lists")
    counts = _counts(marked, clean.size)
    tries = [_mixture(counts, clean, lists, rng) for _ in range(restarts)]
    _, shares = max(tries, key=lambda found: found[0])
    expected = np.asarray(counts.sum(axis=1)).ravel() @ shares  # (L,) tokens of each component
    return np.asarray(expected[:, None] * clean < (counts.T @ shares).T, np.bool_)


def _mixture(
    counts: sparse.csr_matrix, clean: Mass, lists: int, rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Log-likelihood, and the share of each picture that each component answers for, (N, L)."""
    shares = _start(counts, clean, lists, rng)
    likelihood = before = -np.inf
    for _ in range(ROUNDS):
        seen = (counts.T @ shares).T  # (L, V)
        expected = seen.sum(axis=1, keepdims=True) * clean
        lift = np.log((seen + PRIOR) / (expected + PRIOR))
        lift -= np.log(np.exp(lift) @ clean)[:, None]
        logs = counts @ lift.T + np.log(shares.mean(axis=0) + 1e-12)
        top = logs.max(axis=1, keepdims=True)
        total = top + np.log(np.exp(logs - top).sum(axis=1, keepdims=True))
        shares = np.exp(logs - total)
        before, likelihood = likelihood, float(total.sum())
        if likelihood - before < 1e-6 * abs(likelihood):
            break
    return likelihood, shares


def _start(
    counts: sparse.csr_matrix, clean: Mass, lists: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Pictures grouped by the leading directions in which their codes differ from the corpus."""
    if lists == 1:
        return np.ones((counts.shape[0], 1))
    weights = sparse.diags(1 / np.sqrt(clean))
    totals = np.asarray(counts.sum(axis=1))
    lean = counts @ weights
    centre = np.sqrt(clean)[None]
    basis = rng.standard_normal((clean.size, lists + 8))
    for _ in range(8):  # subspace iteration on the centred, whitened counts
        seen = lean @ basis - totals * (centre @ basis)
        basis, _ = np.linalg.qr(lean.T @ seen - centre.T @ (totals.T @ seen))
    spots = lean @ basis - totals * (centre @ basis)
    return _grouped(spots, lists, rng)


def _grouped(
    spots: NDArray[np.float64], groups: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """k-means with k-means++ seeding; (N, groups) memberships, softened so that EM can move."""
    centres = spots[rng.integers(len(spots))][None]
    while len(centres) < groups:
        far = ((spots[:, None] - centres) ** 2).sum(axis=2).min(axis=1)
        odds = far / far.sum() if far.any() else None  # None: all pictures alike
        centres = np.vstack([centres, spots[rng.choice(len(spots), p=odds)]])
    nearest = np.zeros(len(spots), int)
    for _ in range(25):
        nearest = ((spots[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for group in range(groups):
            if (nearest == group).any():
                centres[group] = spots[nearest == group].mean(axis=0)
    shares = np.full((len(spots), groups), 0.1 / groups)
    shares[np.arange(len(spots)), nearest] += 0.9
    return shares


def _counts(grids: Grids, codes: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(grids)), grids.shape[1])
    ones = np.ones(grids.size)
    return sparse.csr_matrix((ones, (rows, grids.ravel())), shape=(len(grids), codes))


def coloured_share(stolen: Green, pool: Green, clean: Mass) -> float:
    """Share of the token mass with its true colour, the mean over stolen lists of the best match.

    Colouring at random gets about 0.5 for a gamma of 1/2.
    """
    guesses, lists = np.atleast_2d(stolen), np.atleast_2d(pool)
    right = np.array([[clean[guess == true].sum() for true in lists] for guess in guesses])
    return float(right.max(axis=1).mean())


def forged(
    grid: NDArray[np.integer], stolen: Green, clean: Mass, rng: np.random.Generator
) -> NDArray[np.integer]:
    """A grid (T,) whose codes outside the stolen list are drawn anew from inside it."""
    inside = np.where(stolen, clean, 0)
    if not inside.any():
        raise ValueError("a list without codes cannot forge")
    outside = ~stolen[grid]
    out = grid.copy()
    out[outside] = rng.choice(clean.size, int(outside.sum()), p=inside / inside.sum())
    return out


@dataclass(frozen=True)
class Theft:
    """What so many marked pictures gave away: mass coloured right, evidence of forged grids."""

    pictures: int
    coloured: float
    evidence: tuple[float, ...]


def measure_theft(
    marked: Grids,
    corpus: Grids,
    pool: Green,
    evidence: Evidence,
    *,
    pictures: int,
    forgeries: int,
    rng: np.random.Generator,
) -> Theft:
    """Steal from the first pictures, forge with grids of the corpus, ask the real detector.

    The pool (L, V) says how many lists there are, which the attacker is assumed to know, and
    judges the result. Forgeries use each stolen list in turn.
    """
    if not 0 < pictures <= len(marked):
        raise ValueError(f"cannot steal from {pictures} of {len(marked)} pictures")
    lists = np.atleast_2d(pool)
    clean = mass(corpus, lists.shape[1])
    if len(lists) == 1:
        stolen = steal_list(marked[:pictures], clean)[None]
    else:
        stolen = steal_pool(marked[:pictures], clean, lists=len(lists), restarts=2, rng=rng)
    usable = [guess for guess in stolen if guess.any()]
    scores = tuple(
        evidence(forged(corpus[n % len(corpus)], usable[n % len(usable)], clean, rng))
        for n in range(forgeries)
    )
    return Theft(pictures, coloured_share(stolen, lists, clean), scores)


def drawn_grids(
    clean: Mass, pool: Green, *, delta: float, shape: tuple[int, int], rng: np.random.Generator
) -> Grids:
    """(N, T) independent codes, each picture biased by delta to a list drawn from the pool.

    An infinite delta draws green codes only. Real pictures repeat and correlate: a stand-in for
    tests and for curves against the size of a pool.
    """
    lists = np.atleast_2d(pool)
    grids = np.empty(shape, np.int64)
    for number, which in enumerate(rng.integers(len(lists), size=shape[0])):
        red = 0.0 if np.isinf(delta) else float(np.exp(-delta))
        biased = clean * np.where(lists[which], 1.0, red)
        grids[number] = rng.choice(clean.size, shape[1], p=biased / biased.sum())
    return grids

"""The detectors of IndexMark and LBW as published, kept for comparison only.

Both treat tokens as independent coins. On real pictures codes repeat, the count is
over-dispersed, and their nominal error rates are false (docs/watermark.md): compare them at a
threshold taken from unmarked pictures (harness.at_rate), never at their own.
IndexMark: arXiv 2505.14673, eq. 4 and appendix C.2. LBW: arXiv 2506.01011; no code of it is
public, this is the z-score on re-quantised tokens with the maximum over the pool.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Tokens = NDArray[np.integer]  # (T,) codes of one picture
Green = NDArray[np.bool_]  # (V,) the list, or (L, V) a pool of lists

INDEXMARK_THRESHOLDS = {256: 0.615, 384: 0.615, 512: 0.60}  # side in px -> green share
INDEXMARK_CROP_THRESHOLDS = {256: 0.70, 384: 0.70, 512: 0.65}


def indexmark_share(tokens: Tokens, green: Green) -> float:
    """Share of all tokens that are green, repeats counted."""
    _check(tokens, green)
    return float(np.mean(green[tokens]))


def indexmark_evidence(tokens: Tokens, green: Green) -> float:
    """-log10 of the p that eq. 4 claims, one-sided: share ~ N(1/2, 1/(4T))."""
    z = (indexmark_share(tokens, green) - 0.5) * 2 * np.sqrt(tokens.size)
    return float(-special.log_ndtr(-z) / np.log(10))


def lbw_z(tokens: Tokens, pool: Green, *, gamma: float) -> float:
    """The largest z-score of the green count over the lists of the pool (L, V)."""
    _check(tokens, pool)
    counts = np.atleast_2d(pool)[:, tokens].sum(axis=1)
    spread = np.sqrt(tokens.size * gamma * (1 - gamma))
    return float(np.max((counts - gamma * tokens.size) / spread))


def lbw_evidence(tokens: Tokens, pool: Green, *, gamma: float) -> float:
    """-log10 of the p that the normal law claims for the largest z, the pool not corrected for."""
    return float(-special.log_ndtr(-lbw_z(tokens, pool, gamma=gamma)) / np.log(10))


def _check(tokens: Tokens, green: Green) -> None:
    if tokens.ndim != 1 or tokens.size == 0:
        raise ValueError(f"tokens must be one picture's, (T,) with T > 0, got {tokens.shape}")
    if tokens.min() < 0 or tokens.max() >= green.shape[-1]:
        raise ValueError(
            f"tokens go from {tokens.min()} to {tokens.max()}, the list has {green.shape[-1]} codes"
        )

"""How many marked pictures an attacker needs to steal lists and forge at p < 1e-6.

The attacker knows the codec and reads every token of the pictures rightly, knows how many lists
there are, and has unmarked drawings to compare with: the worst case for the mark. A forgery is
judged on its tokens, by the detector that verifies, corrected for the full search. `drawn` rows
are the marked drawings themselves; `independent` rows have as many as wanted, with codes drawn
independently at the frequencies of unmarked drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.marks.drawings import Drawing, bench_key
from bench.marks.page import Table, interval
from provenance.robustness.harness import rate
from provenance.robustness.stealing import Evidence, Grids, Theft, drawn_grids, mass, measure_theft
from provenance.watermark.detect import THRESHOLD, Bank, View, detect
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Grid, Plan

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # pictures
FORGERIES = 40
SEED = 23


@dataclass(frozen=True)
class Curve:
    """What was stolen from more and more pictures of one kind."""

    lists: int
    source: str
    pictures: int  # there are
    thefts: tuple[Theft, ...]

    def needed(self, share: float) -> int | None:
        """The fewest pictures of the curve from which on at least this share of forgeries pass."""
        enough: int | None = None
        for theft in reversed(self.thefts):
            if _passed(theft) < share * len(theft.evidence):
                break
            enough = theft.pictures
        return enough


def table(
    scheme: Scheme,
    marked: Sequence[Drawing],
    unmarked: Sequence[Drawing],
    *,
    plan: Plan,
    most: int,
) -> Table:
    """Curves for one list and for the scheme's pool; at most `most` independent grids."""
    corpus = np.stack([d.tokens.ravel() for d in unmarked])
    drawn = np.stack([d.tokens.ravel() for d in marked])
    one, pool = replace(scheme, lists=1), Bank(scheme, [bench_key()])
    delta = _as_green(drawn, _green(pool))
    curves = (
        _simulated(Bank(one, [bench_key()]), corpus, plan, most, delta),
        _simulated(pool, corpus, plan, most, delta),
        _curve("drawn", drawn, corpus, pool, plan),
    )
    notes = (
        f"Scheme {scheme.name}, {FORGERIES} forgeries a row from {len(corpus)} unmarked drawings, "
        f"judged for {plan.looks} views x the lists; intervals are 95 %.",
        *(_summary(curve) for curve in curves),
    )
    header = ("lists", "marked pictures", "", "coloured right", "median -log10 p", "forged")
    rows = tuple(_row(curve, theft) for curve in curves for theft in curve.thefts)
    return Table("stealing", header, rows, notes)


def detector(bank: Bank, plan: Plan) -> Evidence:
    """-log10 of the corrected p of tokens (T,) that were all read equally surely."""

    def evidence(tokens: NDArray[np.integer]) -> float:
        grid = Grid(tokens.astype(np.int64)[None], np.ones((1, len(tokens)), np.float32))
        view = View(bank.scheme.codec_digest, "its tokens", (grid,))
        return float(-np.log10(detect([view], [bank], planned=plan.looks).corrected))

    return evidence


def _as_green(drawn: Grids, greens: NDArray[np.bool_]) -> float:
    """The bias, in nats, that leaves independent codes as green as these drawings (N, T)."""
    green = greens[:, drawn].sum(-1).max(0).sum() + 0.5  # as if half a token more were of each
    return float(np.log(green / (drawn.size + 1 - green)))


def _simulated(bank: Bank, corpus: Grids, plan: Plan, most: int, delta: float) -> Curve:
    """As many grids as wanted, of codes drawn independently."""
    clean = mass(corpus, bank.scheme.colouring.codes)
    grids = drawn_grids(
        clean,
        _green(bank),
        delta=delta,
        shape=(most, corpus.shape[1]),
        rng=np.random.default_rng(SEED),
    )
    return _curve(f"independent, {delta:.1f} nats", grids, corpus, bank, plan)


def _green(bank: Bank) -> NDArray[np.bool_]:
    """The green codes of all lists, (L, V)."""
    return np.stack([bank.scheme.green(key, index) for key, index in bank.owners])


def _curve(source: str, marked: Grids, corpus: Grids, bank: Bank, plan: Plan) -> Curve:
    thefts = tuple(
        measure_theft(
            marked,
            corpus,
            _green(bank),
            detector(bank, plan),
            pictures=pictures,
            forgeries=FORGERIES,
            rng=np.random.default_rng(SEED),
        )
        for pictures in CURVE
        if bank.scheme.lists <= pictures <= len(marked)
    )
    return Curve(bank.scheme.lists, source, len(marked), thefts)


def _passed(theft: Theft) -> int:
    return sum(score >= -np.log10(THRESHOLD) for score in theft.evidence)


def _row(curve: Curve, theft: Theft) -> tuple[str, ...]:
    share = rate(_passed(theft), len(theft.evidence))
    return (
        f"{curve.lists}",
        f"{theft.pictures:,}",
        curve.source,
        f"{theft.coloured:.2f}",
        f"{np.median(theft.evidence):.1f}",
        f"{share.share:.2f} ({interval(share.low, share.high)})",
    )


def _summary(curve: Curve) -> str:
    needed = {share: curve.needed(share) for share in (0.5, 0.95)}
    says = [
        f"{f'more than {curve.pictures}' if n is None else n} for {share:.0%}"
        for share, n in needed.items()
    ]
    return f"{curve.lists} list(s), {curve.source}: pictures needed {', '.join(says)} of forgeries."

"""The tables of docs/classifier.md, each from looks and fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.forensics.fits import NONE, Fits, Fitted
from bench.forensics.looks import SWAPS, Look
from bench.forensics.measure import (
    REAL,
    Floats,
    Point,
    Scores,
    as_drawn,
    auc,
    calibrations,
    folds,
    gather,
    p_values,
    risk_coverage,
    share,
    swap,
)
from bench.forensics.sources import FAMILIES, Sample
from bench.forensics.views import FULL, RECIPES, Recipe
from bench.marks.page import Table

ALPHAS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
SHOWN = 0.05


@dataclass(frozen=True)
class Measured:
    """What all tables share: looks at the calib split, and fits that never saw it."""

    samples: Sequence[Sample]
    fits: Fits
    looks: Callable[..., Sequence[Look]]  # of a kind, as the member looks or as they are

    @cached_property
    def fold(self) -> NDArray[np.int64]:
        """The fold of each photograph."""
        return folds(self.samples)

    def scores(
        self, fitted: Fitted, kind: str, recipe: Recipe = FULL, only: Sequence[str] = ()
    ) -> Scores:
        """The scores under a fit of looks, which are as the recipe wants them."""
        looks = [k for k in self.looks(kind, same=recipe.same) if not only or k.kind in only]
        return gather(looks, [fitted.score(look) for look in looks], len(self.samples))

    @cached_property
    def left_out(self) -> dict[str, tuple[Scores, Scores]]:
        """For each family, native and strata scores under the fit that never saw it."""
        found = {}
        for family in FAMILIES:
            fitted = self.fits.fitted("permissive", FULL, family)
            found[family] = (self.scores(fitted, "native"), self.scores(fitted, "strata"))
        return found

    @cached_property
    def shipped(self) -> Fitted:
        """The fit that is shipped."""
        return self.fits.fitted("permissive", FULL, NONE)

    @cached_property
    def shipped_strata(self) -> Scores:
        """The strata under the fit that is shipped."""
        return self.scores(self.shipped, "strata")


def families_table(measured: Measured) -> Table:
    """Each family left out: ranks, and how many are called drawn at alpha .05."""
    rows, areas = [], []
    for family in FAMILIES:
        native, strata = measured.left_out[family]
        real, drawn = native.of(REAL), native.of(family)
        area = auc(real, drawn)
        areas.append(area.value)
        by = calibrations(strata, measured.fold)
        p = p_values(drawn, measured.fold, by)
        alone, every = (
            measured.scores(measured.fits.fitted(who, FULL, family, net=False), "native")
            for who in ("permissive", "all")
        )
        rows.append(
            (
                family,
                str(area),
                f"{auc(alone.of(REAL), alone.of(family)).value:.3f}",
                f"{auc(every.of(REAL), every.of(family)).value:.3f}",
                str(share(int((p <= SHOWN).sum()), len(p))),
            )
        )
    rows.append(("mean", f"**{np.mean(areas):.3f}**", "", "", ""))
    rows.append(("worst", f"**{min(areas):.3f}**", "", "", ""))
    header = (
        "family left out",
        "AUC, as shipped",
        "spectra alone",
        "spectra, all 327 photographs",
        "called drawn at p <= .05",
    )
    count = len(measured.samples)
    note = (
        f"{count} photographs of the calib split and their counterparts, compressed alike; fitted "
        f"to {len(measured.fits.chosen('permissive'))} photographs."
    )
    return Table("families", header, tuple(rows), (note,))


def ablation_table(measured: Measured) -> Table:
    """The recipes, each rung alone, by the spectra."""
    rows = []
    for recipe in RECIPES:
        areas, zoomed = _ablated(measured, recipe)
        rows.append(
            (
                recipe.name,
                f"{np.mean(areas):.3f}",
                f"{min(areas):.3f}",
                f"{_worst_swap(measured, recipe) * 100:.1f}",
                f"{zoomed[0]:.2f}",
                f"{zoomed[1]:.2f}",
            )
        )
    header = (
        "recipe",
        "AUC, mean of families left out",
        "worst",
        "points that a codec swap moves",
        "photographs zoomed x2 above 5 % of native ones",
        "blurred",
    )
    return Table("ablation", header, tuple(rows), ("The spectra alone, 97 photographs.",))


def _ablated(measured: Measured, recipe: Recipe) -> tuple[list[float], tuple[float, float]]:
    areas = []
    for family in FAMILIES:
        fitted = measured.fits.fitted("permissive", recipe, family, net=False)
        native = measured.scores(fitted, "native", recipe, (REAL, family))
        areas.append(auc(native.of(REAL), native.of(family)).value)
    fitted = measured.fits.fitted("permissive", recipe, NONE, net=False)
    strata = measured.scores(fitted, "strata", recipe)
    limit = float(np.quantile(strata.of(REAL, "native, as it was"), 0.95))
    zoomed, blurred = (
        float((strata.of(REAL, f"{name}, as it was") > limit).mean())
        for name in ("zoomed x2", "blurred, sigma 0.8")
    )
    return areas, (zoomed, blurred)


def _worst_swap(measured: Measured, recipe: Recipe) -> float:
    fitted = measured.fits.fitted("permissive", recipe, NONE, net=False)
    native, swapped = (measured.scores(fitted, kind, recipe) for kind in ("native", "swaps"))
    codecs = [name for name in SWAPS if "px" not in name]
    return max(swap(native, swapped, name, measured.fold).moves for name in codecs)


def swaps_table(measured: Measured) -> Table:
    """The shortcut audit, of what is shipped and of the naive detector."""
    naive = measured.fits.fitted("permissive", RECIPES[0], NONE, net=False)
    rows = []
    both = (("as shipped", measured.shipped, FULL), ("naive", naive, RECIPES[0]))
    for label, fitted, recipe in both:
        native, swapped = (measured.scores(fitted, kind, recipe) for kind in ("native", "swaps"))
        for name in SWAPS:
            one = swap(native, swapped, name, measured.fold)
            cells = (f"{one.alike:.3f}", f"{one.one:.3f}", f"{one.other:.3f}")
            verdict = "yes" if one.moves <= 0.05 else "no"
            rows.append((label, name, *cells, f"{one.moves * 100:.1f}", verdict))
    header = (
        "detector",
        "swap",
        "both alike",
        "photographs the first, drawn the second",
        "the other way round",
        "points",
        "at most 5",
    )
    note = "Balanced accuracy at the threshold that is best on native pictures of other folds."
    return Table("swaps", header, tuple(rows), (note,))


def strata_table(measured: Measured) -> Table:
    """Photographs called drawn at alpha .05, in every stratum."""
    by = calibrations(measured.shipped_strata, measured.fold)
    rows = []
    for (_, stratum), row in measured.shipped_strata.rows.items():
        p = p_values(row, measured.fold, by)
        p = p[~np.isnan(p)]
        hits = int((p <= SHOWN).sum())
        found = share(hits, len(p))
        within = "yes" if found.low <= SHOWN else "no"
        rows.append((stratum, f"{hits} of {len(p)}", str(found), within))
    header = ("photographs that were", "called drawn", "share", "<= .05 + interval")
    note = "Calibrated by the photographs of other folds; before the test of re-shipment."
    return Table("strata", header, tuple(rows), (note,))


def coverage_table(measured: Measured) -> Table:
    """The risk-coverage curve on families that were left out."""
    curves = [_curve(measured, family) for family in FAMILIES]
    rows = []
    for number, alpha in enumerate(ALPHAS):
        points = [curve[number] for curve in curves]
        coverage = float(np.mean([p.coverage for p in points]))
        wrong = sum(p.error * p.decided for p in points)
        error = wrong / max(sum(p.decided for p in points), 1)
        meets = "yes" if error <= 0.05 and coverage >= 0.5 else "no"
        rows.append((f"{alpha}", f"{coverage:.3f}", f"{error:.3f}", meets))
    header = ("alpha", "coverage", "error", "error <= .05 at coverage >= .5")
    note = (
        "Photographs and counterparts of the family left out, halves alike; two-sided conformal "
        "sets, of which the product uses one side."
    )
    return Table("coverage", header, tuple(rows), (note,))


def _curve(measured: Measured, family: str) -> list[Point]:
    native, strata = measured.left_out[family]
    by = calibrations(strata, measured.fold)
    seen: list[Floats] = [native.of(other) for other in FAMILIES if other != family]
    pairs = [
        (p_values(row, measured.fold, by), as_drawn(row, measured.fold, seen))
        for row in (native.of(REAL), native.of(family))
    ]
    return risk_coverage(pairs[0], pairs[1], ALPHAS)

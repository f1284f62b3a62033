"""The share of marked drawings that is found after each attack, family-wise 1e-6.

Every picture is searched with the whole plan and paid for as such; a search stops at the first
view that reaches the threshold, so what was not moved is found in one look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bench.marks.drawings import Album, Drawing, bench_key
from bench.marks.page import Table, interval
from bench.marks.processes import spread
from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.robustness.harness import rate
from provenance.watermark.detect import Outcome, detect
from provenance.watermark.search import Plan
from workers.marking import Marker


@dataclass(frozen=True)
class Bar:
    """What share must be found; `moved` if the token grid must be searched for."""

    attack: str
    share: float
    moved: bool = False


BARS = (
    Bar("none", 0.99),
    Bar("jpeg-50", 0.95),
    Bar("noise-0.05", 0.95),
    Bar("blur-kernel-7", 0.95),
    Bar("brightness-1.5", 0.95),
    Bar("contrast-1.5", 0.95),
    Bar("erase-0.1", 0.95),
    Bar("resize-0.5", 0.95),
    Bar("realesrgan-2", 0.85),
    Bar("screenshot", 0.85, moved=True),
    Bar("crop-0.75", 0.85, moved=True),
    Bar("shift-3", 0.85, moved=True),
    Bar("flip", 0.85, moved=True),
    Bar("rotate-3", 0.85, moved=True),
)


@dataclass(frozen=True, eq=False)
class Task:
    """One picture, one attack."""

    bar: Bar
    number: int
    pixels: Pixels
    plan: Plan


@dataclass(frozen=True)
class Judged:
    """What one search found, and what it took."""

    bar: Bar
    found: bool
    corrected: float
    seconds: float
    views: int


def judge(marker: Marker, task: Task) -> Judged:
    """Attack, search, detect; only searching and detecting are timed."""
    copy = attacked(task.pixels, find(task.bar.attack), seed=task.number)
    start = time.perf_counter()
    search = marker.search(copy, task.plan)
    finding = detect(search.views(), marker.banks([bench_key()]), planned=search.planned)
    return Judged(
        bar=task.bar,
        found=finding.outcome is Outcome.DETECTED,
        corrected=finding.corrected,
        seconds=time.perf_counter() - start,
        views=search.cost.views,
    )


def table(
    album: Album,
    *,
    moved: int,
    plan: Plan,
    opened: Callable[[], Marker],
    processes: int,
    report: Callable[[str], None] = lambda line: None,
) -> Table:
    """All bars; attacks that move the grid on the first `moved` drawings only."""
    drawings = album.drawings
    rows: list[tuple[str, ...]] = []
    results = spread(judge, _tasks(drawings, moved, plan), opened=opened, processes=processes)
    for bar, judged in groupby(results, key=lambda result: result.bar):
        rows.append(_row(bar, list(judged)))
        report(" | ".join(rows[-1]))
    strengths, counts = np.unique([d.strength for d in drawings], return_counts=True)
    used = ", ".join(f"{s:g} nats {n}" for s, n in zip(strengths, counts, strict=True))
    notes = (
        f"{album}, marked under one key and its pool of lists, strength {used}; "
        f"the first {min(moved, len(drawings))} of them for attacks that move the grid.",
        f"Found: corrected p <= 1e-6 in the {plan.name} search ({plan.looks} views x all lists of "
        "both schemes); intervals are 95 % (Clopper-Pearson). Seconds are those of one search on "
        f"one thread, {processes} at a time.",
    )
    header = ("attack", "bar", "drawings", "found", "", "median p", "views", "search")
    return Table("power", header, tuple(rows), notes)


def _tasks(drawings: Sequence[Drawing], moved: int, plan: Plan) -> Iterator[Task]:
    for bar in BARS:
        for drawing in drawings[:moved] if bar.moved else drawings:
            yield Task(bar, drawing.number, drawing.pixels, plan)


def _row(bar: Bar, judged: Iterable[Judged]) -> tuple[str, ...]:
    results = list(judged)
    share = rate(sum(result.found for result in results), len(results))
    return (
        bar.attack,
        f"{bar.share:.2f}",
        f"{share.of}",
        f"{share.share:.3f} ({interval(share.low, share.high)})",
        "met" if share.share >= bar.share else "missed",
        f"{np.median([result.corrected for result in results]):.0e}",
        f"{np.mean([result.views for result in results]):.1f}",
        f"{np.mean([result.seconds for result in results]):.2f} s",
    )

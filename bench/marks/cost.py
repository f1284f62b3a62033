"""What marking and detecting cost, on the drawings of the other tables; medians of many runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bench.marks.drawings import Drawing, bench_key
from bench.marks.page import Table
from generators.catalog import Generator
from generators.interface import Site
from generators.sampling import Request, Unerased, Unmarked, draw
from provenance.image import Pixels
from provenance.watermark.detect import Bank, detect
from provenance.watermark.mark import Mark
from provenance.watermark.search import FULL, QUICK, Plan
from provenance.watermark.statistics import Test, stake, weigh
from workers.generate import STRENGTHS
from workers.marking import Kind, Marker

TILES = 4  # drawings a side of the large picture: 512 px for drawings of 128 px
LEVEL = 2.0  # nats: any bias costs the same


def seconds(work: Callable[[], object], runs: int) -> float:
    """The median time of one run, after one that is not counted."""
    work()
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def table(
    generator: Generator,
    marker: Marker,
    drawings: Sequence[Drawing],
    *,
    runs: int,
    plan: Plan = FULL,
) -> Table:
    """Every bar of cost on the first drawings, which must be unmarked: no search ends early."""
    first = drawings[0]
    step, bias, swap, trade = sampling_seconds(generator, marker, first, runs=runs)
    tokens = generator.model.layout.tokens
    exact = exact_p_seconds(marker, drawings[:runs])
    encode, quick = detection_seconds(marker, first.pixels, runs=10 * runs)
    whole = search_seconds(marker, large(drawings), plan, runs=max(1, runs // 5))
    rows = (
        _row(
            "lexical bias, of a sampling step", "<= 1 %", f"{bias / step:.2%}", bias <= step / 100
        ),
        _row("swap", "<= 1 ms a picture", f"{1e3 * tokens * swap:.2f} ms", tokens * swap <= 1e-3),
        (
            "trade",
            "",
            f"{1e3 * trade:.1f} ms a picture, {trade / step / tokens:.1%} of drawing",
            "",
        ),
        _row("exact p", "< 5 ms", f"{1e3 * exact:.2f} ms", exact < 5e-3),
        _row(
            "detection without geometry, of one encoding",
            "<= 1.2 x",
            f"{quick / encode:.2f} x ({1e3 * quick:.1f} of {1e3 * encode:.1f} ms)",
            quick <= 1.2 * encode,
        ),
        _row(
            f"{plan.name} search, {TILES * marker.spec.side} px",
            "<= 3 s",
            f"{whole:.2f} s",
            whole <= 3,
        ),
    )
    notes = (
        f"Medians of {runs} runs or more ({max(1, runs // 5)} for the full search, of which "
        f"nothing is found and all {plan.looks} views are tested), {torch.get_num_threads()} "
        "threads; a sampling step is that of one picture alone.",
    )
    return Table("cost", ("what", "bar", "measured", ""), rows, notes)


def sampling_seconds(
    generator: Generator, marker: Marker, drawing: Drawing, *, runs: int
) -> tuple[float, float, float, float]:
    """Seconds of one step of one picture, of the bias and the swap in it, and of all its trades."""
    request = Request(drawing.prompt, drawing.seed)
    whole = seconds(
        lambda: draw(
            generator.model,
            generator.codec,
            [request],
            erasures=[Unerased()],
            watermarks=[Unmarked()],
        ),
        max(1, runs // 5),
    )
    bias, swap = (
        marker.watermark(kind, bench_key(), "cost", delta=LEVEL)
        for kind in (Kind.LEXICAL, Kind.SWAP)
    )
    traded = _Timed(
        marker.watermark(Kind.TRADE, bench_key(), "cost", delta=STRENGTHS[Kind.TRADE][0])
    )
    codes = marker.codec.codes.size
    logits = torch.randn(1, codes, generator=torch.Generator().manual_seed(0))
    steps = generator.model.layout.tokens
    return (
        whole / steps,
        seconds(lambda: _favoured(bias, logits, steps), runs) / steps,
        seconds(lambda: _swapped(swap, drawing, logits), runs) / steps,
        traded.of_a_picture(generator, request, max(1, runs // 5)),
    )


class _Timed:
    """A mark that counts the seconds of its second hook, by the logits of real drawing."""

    def __init__(self, mark: Mark) -> None:
        self._mark, self._spent = mark, 0.0

    def favour(self, site: Site, logits: torch.Tensor) -> torch.Tensor:
        return self._mark.favour(site, logits)

    def swap(self, site: Site, tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        kept = self._mark.swap(site, tokens, logits)
        self._spent += time.perf_counter() - start
        return kept

    def of_a_picture(self, generator: Generator, request: Request, runs: int) -> float:
        """The median of some drawings."""
        spent = []
        for _ in range(runs):
            self._spent = 0.0
            draw(
                generator.model,
                generator.codec,
                [request],
                erasures=[Unerased()],
                watermarks=[self],
            )
            spent.append(self._spent)
        return float(np.median(spent))


def _favoured(mark: Mark, logits: torch.Tensor, steps: int) -> None:
    site = Site("image", 0, steps, None, torch.tensor([0]))
    for _ in range(steps):
        mark.favour(site, logits)


def _swapped(mark: Mark, drawing: Drawing, logits: torch.Tensor) -> None:
    """A swap for every token of a real drawing."""
    flat = torch.from_numpy(drawing.tokens.reshape(-1, 1))
    site = Site("image", 0, len(flat), None, torch.tensor([0]))
    for token in flat:
        mark.swap(site, token, logits)


def exact_p_seconds(marker: Marker, drawings: Sequence[Drawing]) -> float:
    """Weighing one picture's tokens and the exact p of one list: the slowest of these drawings."""
    bank = marker.banks([bench_key()])[0]
    spent = []
    for drawing in drawings:
        reading = marker.codec.read(torch.from_numpy(drawing.pixels)[None])
        spent.append(_weighing(bank, reading.tokens[0].numpy(), reading.margin[0].numpy()))
    return max(spent)


def _weighing(bank: Bank, tokens: NDArray[np.int64], margin: NDArray[np.float32]) -> float:
    def work() -> None:
        stakes = stake(Test.MARGIN, bank.scheme.colouring, tokens, margin)
        weigh(Test.MARGIN, stakes, bank.coins(stakes.unit)[0])

    return seconds(work, 5)


def detection_seconds(marker: Marker, pixels: Pixels, *, runs: int) -> tuple[float, float]:
    """One encoding, and one detection of one key in the picture as it lies."""
    picture = torch.from_numpy(pixels)[None]
    banks = marker.banks([bench_key()])

    def look() -> None:
        search = marker.search(pixels, QUICK)
        detect(search.views(), banks, planned=search.planned)

    return seconds(lambda: marker.codec.encode(picture), runs), seconds(look, runs)


def search_seconds(marker: Marker, pixels: Pixels, plan: Plan, *, runs: int) -> float:
    """One whole search under one key."""
    banks = marker.banks([bench_key()])

    def work() -> None:
        search = marker.search(pixels, plan)
        detect(search.views(), banks, planned=search.planned)

    return seconds(work, runs)


def large(drawings: Sequence[Drawing]) -> Pixels:
    """Drawings side by side, the first ones again where there are too few."""
    pictures = [drawings[n % len(drawings)].pixels for n in range(TILES**2)]
    rows = [np.concatenate(pictures[n : n + TILES], 2) for n in range(0, TILES**2, TILES)]
    return np.concatenate(rows, 1)


def _row(what: str, bar: str, measured: str, met: object) -> tuple[str, ...]:
    return what, bar, measured, "met" if met else "missed"

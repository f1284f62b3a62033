"""Whether the tests keep their promise on pictures without a mark.

Every tile and drawing is judged under keys of its own, by every test of every scheme; the hits at
each level are held against their exact number, which is known for each picture: sums of integers
come in steps, so it is a little below the level. Beside it the published statistic, which takes
tokens for independent coins. A key serves five pictures, drawn at random: few codes are in two of
them, so that their hits are all but independent, as the interval takes them to be.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from bench.marks.drawings import bench_key
from bench.marks.page import Table
from bench.marks.processes import spread
from generators.training.icons import SIDE
from provenance.image import Pixels
from provenance.watermark.detect import Bank, detect
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Plan
from provenance.watermark.statistics import Test, stake, statistics, tail
from workers.marking import Marker

LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
CHUNK = 250  # pictures
SEARCHED_KEYS = 50  # a picture that is searched in full
REUSE = 5  # pictures a key serves: tossing coins costs more than using them
SURE = 0.999  # of the binomial interval: there are dozens of cells
PUBLISHED = "published"

Pictures = NDArray[np.uint8]  # (N, 3, H, W)
Tally = dict[tuple[str, str], NDArray[np.float64]]  # scheme, test -> (hits, expected) x levels


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pictures to be judged under so many keys each; the seed tells which."""

    pictures: Pictures
    keys: int
    seed: int


def unseen_photographs(folder: Path, index: Path) -> list[Path]:
    """Photographs that no weight was fitted to: split calib, and train without permission."""
    with index.open(newline="") as rows:
        return [
            folder / row["file"]
            for row in csv.DictReader(rows)
            if row["split"] == "calib" or row["permissive"] != "1"
        ]


def tiles(paths: Sequence[Path], count: int) -> Pictures:
    """Tiles of photographs at full, half and quarter size, evenly over them, in random order."""
    rng = np.random.default_rng(3)
    out = [
        tile
        for n, path in enumerate(paths)
        for tile in _tiles(path, count // len(paths) + (n < count % len(paths)), rng)
    ]
    return np.stack(out)[rng.permutation(count)]


def _tiles(path: Path, count: int, rng: np.random.Generator) -> Iterator[Pictures]:
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    for _ in range(count):
        scale = float(rng.choice([1, 0.5, 0.25]))
        side = min(round(SIDE / scale), *rgb.size)
        x, y = (int(rng.integers(0, length - side + 1)) for length in rgb.size)
        part = rgb.crop((x, y, x + side, y + side)).resize((SIDE, SIDE))
        yield np.asarray(part).transpose(2, 0, 1)


def eight_bit(pictures: Sequence[Pixels]) -> Pictures:
    """Pictures of one size as their files hold them."""
    return np.stack([np.rint(pixels * 255).astype(np.uint8) for pixels in pictures])


def tally(marker: Marker, chunk: Chunk) -> Tally:
    """Hits and exact expectation of every test of every scheme at every level."""
    rng = np.random.default_rng(chunk.seed)
    readings = [
        (tokens, margin)
        for part in torch.split(torch.from_numpy(chunk.pictures), 32)
        for reading in [marker.codec.read(part.float() / 255)]
        for tokens, margin in zip(reading.tokens.numpy(), reading.margin.numpy(), strict=True)
    ]
    out: Tally = {}
    for scheme in schemes(marker):
        pool = max(chunk.keys, len(readings) * chunk.keys // REUSE)
        coins = np.stack([scheme.coins(random_key(rng), 0) for _ in range(pool)])
        for tokens, margin in readings:
            own = coins[rng.permutation(pool)[: chunk.keys]]
            for test in Test:
                found = _tested(test, scheme, own, tokens, margin)
                out[scheme.name, test] = out.get((scheme.name, test), 0) + found
            counted = _counted(scheme, own, tokens)
            out[scheme.name, PUBLISHED] = out.get((scheme.name, PUBLISHED), 0) + counted
    return out


def schemes(marker: Marker) -> list[Scheme]:
    """The first scheme of each colouring; more of one colouring differ in their coins alone."""
    found: dict[int, Scheme] = {}
    for bank in marker.banks([bench_key()]):
        found.setdefault(bank.scheme.colouring.units, bank.scheme)
    return list(found.values())


def random_key(rng: np.random.Generator) -> Key:
    """A key that nothing was made with."""
    like = bench_key()
    return Key(rng.bytes(32), like.tenant, like.epoch, KeyState.ACTIVE, like.created)


def _tested(
    test: Test,
    scheme: Scheme,
    coins: NDArray[np.bool_],
    tokens: NDArray[np.int64],
    margin: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Hits of one picture, and their expected number, (2, levels)."""
    stakes = stake(test, scheme.colouring, tokens, margin)
    chances = tail(stakes.weight, stakes.gamma)
    p = chances[statistics(stakes, coins)]
    hits = [(p <= level).sum() for level in LEVELS]
    exact = [chances[chances <= level].max(initial=0) for level in LEVELS]
    return np.array([hits, len(coins) * np.array(exact)], np.float64)


def _counted(
    scheme: Scheme, coins: NDArray[np.bool_], tokens: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Hits of the binomial that takes all tokens for independent, and their nominal number."""
    own, flat = scheme.colouring, tokens.ravel()
    green = (coins[:, own.unit[flat]] == (own.side[flat] == 1)).sum(1)
    p = stats.binom.sf(green - 1, flat.size, own.gamma)
    hits = [(p <= level).sum() for level in LEVELS]
    return np.array([hits, len(coins) * np.array(LEVELS)], np.float64)


def family_hits(plan: Plan, marker: Marker, chunk: Chunk) -> Tally:
    """The corrected p of whole searches: all views of a plan, one key and all its lists."""
    rng = np.random.default_rng(chunk.seed)
    hits = np.zeros(len(LEVELS))
    for picture in chunk.pictures:
        search = marker.search(picture.astype(np.float32) / np.float32(255), plan)
        views = list(search.views())
        for _ in range(chunk.keys):
            banks: list[Bank] = marker.banks([random_key(rng)])
            finding = detect(views, banks, planned=search.planned)
            hits += [finding.corrected <= level for level in LEVELS]
    most = len(chunk.pictures) * chunk.keys * np.array(LEVELS)
    return {("all schemes", f"{plan.name} search"): np.array([hits, most])}


def table(
    sets: dict[str, Pictures],
    *,
    trials: int,
    plan: Plan,
    searched: int,
    opened: Callable[[], Marker],
    processes: int,
) -> Table:
    """Every set of pictures in about so many trials; `searched` of each by the whole family."""
    rows: list[tuple[str, ...]] = []
    notes = []
    for number, (name, pictures) in enumerate(sets.items()):
        keys = -(-trials // len(pictures))
        counted = _sum(tally, pictures, keys, number, opened, processes)
        rows += _rows(name, counted, _two_sided)
        few, whole = pictures[:searched], partial(family_hits, plan)
        counted = _sum(whole, few, SEARCHED_KEYS, number, opened, processes)
        rows += _rows(name, counted, _one_sided)
        notes.append(
            f"{len(pictures):,} {name} x {keys:,} keys, {len(few)} of them searched in full "
            f"(at most {plan.looks} views) x {SEARCHED_KEYS} keys."
        )
    notes.append(
        f"A cell has the hits and the {SURE:.1%} binomial interval around their exact number; "
        "for the search, whose correction is an upper bound, hits and the most there may be."
    )
    header = ("pictures", "scheme", "test", "trials", *(f"p <= {x:.0e}" for x in LEVELS))
    return Table("size", header, tuple(rows), tuple(notes))


def _sum(
    work: Callable[[Marker, Chunk], Tally],
    pictures: Pictures,
    keys: int,
    seed: int,
    opened: Callable[[], Marker],
    processes: int,
) -> tuple[int, Tally]:
    """Trials, and the tallies of all chunks added up."""
    size = min(CHUNK, -(-len(pictures) // processes))
    chunks = [
        Chunk(pictures[start : start + size], keys, 1_000_000 * seed + start)
        for start in range(0, len(pictures), size)
    ]
    total: Tally = {}
    for part in spread(work, chunks, opened=opened, processes=processes):
        for name, found in part.items():
            total[name] = total.get(name, 0) + found
    return len(pictures) * keys, total


def _rows(
    name: str,
    counted: tuple[int, Tally],
    within: Callable[[float, float, int], str],
) -> list[tuple[str, ...]]:
    trials, total = counted
    rows = []
    for (scheme, test), (hits, exact) in total.items():
        show = _contrast if test == PUBLISHED else within
        cells = (show(n, e, trials) for n, e in zip(hits, exact, strict=True))
        rows.append((name, scheme, test, f"{trials:,}", *cells))
    return rows


def _two_sided(hits: float, exact: float, trials: int) -> str:
    low, high = stats.binom.interval(SURE, trials, min(exact / trials, 1))
    outside = "" if low <= hits <= high else " OUTSIDE"
    return f"{hits:,.0f} ({low:,.0f} to {high:,.0f}){outside}"


def _one_sided(hits: float, most: float, trials: int) -> str:
    high = stats.binom.ppf(SURE, trials, most / trials)
    return f"{hits:,.0f} (at most {high:,.0f}){'' if hits <= high else ' OUTSIDE'}"


def _contrast(hits: float, nominal: float, trials: int) -> str:
    return f"{hits:,.0f}, {hits / nominal:,.1f} x nominal"

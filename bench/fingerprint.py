"""What a fingerprint costs to find, and how far apart pictures lie: `python -m bench.fingerprint`.

The search is timed on random hashes with near ones planted, and must find every one of them; half
of the queries have none. `--photographs FOLDER` measures the threshold instead: the distances
between all pictures of the folder, which must be different pictures, and between each of them and
its attacked copies. Prints Markdown.
"""

import argparse
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy.orm import Session

from bench.ledger import cpu_name
from migrations import upgrade
from provenance.database import connect, snapshot, transaction
from provenance.fingerprint import (
    BITS,
    LEAST_QUALITY,
    THRESHOLD,
    Fingerprint,
    FingerprintIndex,
    count_ones,
    distances,
    fingerprint,
)
from provenance.image import Pixels, read_file, read_image
from provenance.robustness.attacks import attacked, find
from provenance.tables import EntryRow, FingerprintRow

BAR = 10.0  # milliseconds a query of 1e6 entries
SURE = 0.95
CHUNK = 50_000  # simulated rows in one transaction
CLOSEST = 5  # pairs to name
ATTACKS = (
    *("jpeg-75", "jpeg-50", "jpeg-25", "webp-50", "resize-0.5", "noise-0.05", "blur-sigma-2"),
    *("brightness-1.5", "contrast-1.5", "gamma-0.8", "grey", "flip", "screenshot", "social"),
    *("erase-0.1", "crop-0.95", "crop-0.9", "crop-0.75", "shift-3", "rotate-3"),
)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Photograph:
    name: str
    pixels: Pixels
    seen: Fingerprint


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--photographs", type=Path, metavar="FOLDER")
    parser.add_argument("--attacks", nargs="*", default=ATTACKS, metavar="NAME")
    given = parser.parse_args(arguments)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cpu_name()}, numpy {np.__version__}, ", end="")
    print(f"Python {platform.python_version()}\n")
    if given.photographs is not None:
        calibrate(given.photographs, given.attacks)
        return
    print(
        "| entries | load from SQLite | a query, median | 95 % | of the bar | every column "
        "| times slower |\n|---|---|---|---|---|---|---|"
    )
    for size in sorted(int(size) for size in given.sizes):
        print(row(size, given.queries), flush=True)


def row(size: int, queries: int) -> str:
    """The time to load and to search; raises if a planted fingerprint is not found."""
    rng = np.random.default_rng(size)
    hashes = rng.integers(0, 256, (size, 32), dtype=np.uint8)
    index, seconds = loaded(hashes)
    taken, plain = [], []
    for number in range(queries):
        place = int(rng.integers(size))
        one, near = asked(hashes[place], rng, planted=number % 2 == 0)
        start = perf_counter()
        finding = index.search(one)
        taken.append(1e3 * (perf_counter() - start))
        if near != [match.entry == place for match in finding.matches]:
            raise SystemExit(f"wrong at {size:,} entries: {finding}")
        if number < queries // 10 + 1:
            plain.append(every_column(hashes, one))
    middle, slow = np.median(taken), float(np.median(plain))
    return (
        f"| {size:,} | {seconds:.2f} s | {middle:.2f} ms | {np.percentile(taken, 95):.2f} ms "
        f"| {middle / BAR:.2f} | {slow:.2f} ms | {slow / middle:.1f} |"
    )


def asked(
    stored: Bytes, rng: np.random.Generator, *, planted: bool
) -> tuple[Fingerprint, list[bool]]:
    """A random query, or one as far from the stored hash as may be, and what is to be found."""
    both = rng.integers(0, 256, (2, 32), dtype=np.uint8)
    if planted:
        bits = np.unpackbits(stored)
        bits[rng.permutation(BITS)[: rng.integers(THRESHOLD + 1)]] ^= 1
        both[rng.integers(2)] = np.packbits(bits)
    return Fingerprint(both[0].tobytes(), both[1].tobytes(), 100), [True] * planted


def every_column(hashes: Bytes, one: Fingerprint) -> float:
    """Milliseconds that a scan takes which dismisses nothing early, row by row."""
    words = hashes.view(np.uint64)
    start = perf_counter()
    for value in (one.hash, one.mirrored):
        differ = words ^ np.frombuffer(value, np.uint64)
        np.flatnonzero(count_ones(differ).sum(1, np.uint16) <= THRESHOLD)
    return 1e3 * (perf_counter() - start)


def loaded(hashes: Bytes) -> tuple[FingerprintIndex, float]:
    """An index read from a table of these hashes, and the seconds that reading took."""
    index = FingerprintIndex()
    with TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{Path(folder) / 'bench.db'}")
        upgrade(engine)
        for start in range(0, len(hashes), CHUNK):
            with transaction(engine) as session:
                simulate(session, start, hashes[start : start + CHUNK])
        with snapshot(engine) as session:
            start_time = perf_counter()
            index.load(session)
            seconds = perf_counter() - start_time
        engine.dispose()
    return index, seconds


def simulate(session: Session, start: int, hashes: Bytes) -> None:
    """Entries without records worth reading, and their fingerprints."""
    rows = list(enumerate(hashes, start))
    session.execute(sa.insert(EntryRow), [{"index": n, "record": b"simulated"} for n, _ in rows])
    session.execute(
        sa.insert(FingerprintRow),
        [{"entry": n, "hash": value.tobytes(), "quality": 100} for n, value in rows],
    )


def calibrate(folder: Path, attacks: Sequence[str]) -> None:
    """How far apart different pictures lie, and how far a picture from its copies."""
    everything = [photograph(path) for path in sorted(folder.iterdir()) if path.is_file()]
    kept = [one for one in everything if one.seen.quality >= LEAST_QUALITY]
    flat = len(everything) - len(kept)
    print(f"{len(kept)} pictures, and {flat} of a quality below {LEAST_QUALITY}\n")
    if len(kept) < 2:
        raise SystemExit("there is nothing to compare")
    print("\n".join(between(kept)))
    print("\n| attack | median | 95 % | within the threshold | 95 % interval | too flat |")
    print("|---|---|---|---|---|---|")
    for name in attacks:
        print(against(kept, name), flush=True)


def photograph(path: Path) -> Photograph:
    pixels = read_image(read_file(path), name=path.name)
    return Photograph(path.name, pixels, fingerprint(pixels))


def between(kept: Sequence[Photograph]) -> list[str]:
    """The distances of all pairs: the nearer of a picture and its mirror image, as in a search."""
    hashes = np.frombuffer(b"".join(one.seen.hash for one in kept), np.uint8).reshape(-1, 32)
    matrix = np.stack([distances(hashes, one.seen) for one in kept])
    first, second = np.triu_indices(len(kept), 1)
    gaps = np.minimum(matrix, matrix.T)[first, second]
    within, independent = int((gaps <= THRESHOLD).sum()), len(kept) // 2
    lowest, highest = rate_interval(within / len(gaps), independent)
    closest = np.argsort(gaps, kind="stable")[:CLOSEST]
    return [
        f"{within} of {len(gaps):,} pairs of different pictures lie within {THRESHOLD} bits: "
        f"a rate of {lowest:.2g} to {highest:.2g} with {SURE:.0%} confidence.",
        f"Pairs share pictures; the interval counts the {independent} that are independent.",
        f"Mean {gaps.mean():.1f}, standard deviation {gaps.std():.1f}, closest {gaps.min()} bits.",
        *(f"- {gaps[n]} bits: {kept[first[n]].name}, {kept[second[n]].name}" for n in closest),
    ]


def against(kept: Sequence[Photograph], name: str) -> str:
    """The distances of the pictures from their attacked copies."""
    attack, gaps, flat = find(name), [], 0
    for number, one in enumerate(kept):
        copy = fingerprint(attacked(one.pixels, attack, seed=number))
        flat += copy.quality < LEAST_QUALITY
        stored = np.frombuffer(one.seen.hash, np.uint8).reshape(1, 32)
        gaps.append(int(distances(stored, copy)[0]) if copy.quality >= LEAST_QUALITY else BITS)
    within = int((np.array(gaps) <= THRESHOLD).sum())
    sure = stats.binomtest(within, len(gaps)).proportion_ci(SURE, method="exact")
    return (
        f"| {name} | {np.median(gaps):.0f} | {np.percentile(gaps, 95):.0f} "
        f"| {within} of {len(gaps)} | {sure.low:.3f} to {sure.high:.3f} | {flat} |"
    )


def rate_interval(rate: float, independent: int) -> tuple[float, float]:
    """Bounds on the chance that two pictures match, from the rate among all pairs of a sample.

    Chernoff's bound holds for the mean over all pairs, with as many trials as there are disjoint
    pairs (Hoeffding 1963, section 5). The pictures must be a fair sample, each drawn on its own.
    """
    allowed = math.log(2 / (1 - SURE)) / independent
    low = _solve(lambda p: _divergence(rate, p) - allowed, rate, 0.0)
    high = _solve(lambda p: _divergence(rate, p) - allowed, rate, 1.0)
    return low, high


def _solve(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Where the excess, negative at `inside`, turns positive on the way to `outside`."""
    if excess(outside) <= 0:
        return outside
    for _ in range(100):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if excess(middle) > 0 else (middle, outside)
    return outside


def _divergence(rate: float, p: float) -> float:
    """Of Bernoulli(rate) from Bernoulli(p), in nats."""
    total = 0.0
    for share, chance in ((rate, p), (1 - rate, 1 - p)):
        if share > 0:
            total += share * math.log(share / chance) if chance > 0 else math.inf
    return total


if __name__ == "__main__":
    main()

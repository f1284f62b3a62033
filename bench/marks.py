"""`make bench-marks`: whether the tests keep their promise, and what the marks survive.

Size: photographs that no weight was fitted to, cut into 128 px tiles, each judged under keys of its
own. Power: marked drawings after each attack, one family-wise threshold of 1e-6 for all of them.
Side by side: the same drawings' tokens judged as IndexMark and LBW were published.
"""

from __future__ import annotations

import argparse
import csv
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from bench.icons import machine, prompts
from generators.catalog import load_generator
from generators.sampling import Request
from generators.training.icons import SIDE
from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.watermark.detect import Outcome, detect
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.search import FULL, Plan
from provenance.watermark.statistics import Test, attained, stake, statistics, tail
from workers.generate import generate
from workers.marking import Kind, Marker

LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
KEYS_A_TILE = 50
ATTACKS = (
    ("none", 0.99),
    ("jpeg-50", 0.95),
    ("noise-0.05", 0.95),
    ("blur-kernel-7", 0.95),
    ("brightness-1.5", 0.95),
    ("contrast-1.5", 0.95),
    ("erase-0.1", 0.95),
    ("resize-0.5", 0.95),
    ("crop-0.75", 0.85),
    ("shift-3", 0.85),
    ("flip", 0.85),
    ("rotate-3", 0.85),
    ("realesrgan-2", 0.85),
    ("screenshot", 0.85),
)


def fresh_key() -> Key:
    """A key nobody has seen."""
    now = datetime.now(UTC)
    return Key(secrets.token_bytes(32), "bench", 1, KeyState.ACTIVE, now)


def unseen_photographs(folder: Path, index: Path) -> list[Path]:
    """Photographs that no weight was fitted to: split calib, and train without permission."""
    with index.open(newline="") as rows:
        return [
            folder / row["file"]
            for row in csv.DictReader(rows)
            if row["split"] == "calib" or row["permissive"] != "1"
        ]


def tiles(paths: Sequence[Path], count: int) -> NDArray[np.float32]:
    """Tiles (N, 3, 128, 128) of photographs at full, half and quarter size, evenly over them."""
    rng = np.random.default_rng(3)
    out: list[Pixels] = []
    while len(out) < count:
        for path in paths:
            with Image.open(path) as picture:
                rgb = picture.convert("RGB")
            for _ in range(-(-count // len(paths))):
                scale = float(rng.choice([1, 0.5, 0.25]))
                side = min(round(SIDE / scale), *rgb.size)
                x, y = (int(rng.integers(0, length - side + 1)) for length in rgb.size)
                part = rgb.crop((x, y, x + side, y + side)).resize((SIDE, SIDE))
                out.append(np.asarray(part, np.float32).transpose(2, 0, 1) / np.float32(255))
    return np.stack(out[:count])


def size_rows(marker: Marker, pictures: NDArray[np.float32], what: str) -> list[str]:
    """Hits of every test at every level, against its exact size and the published statistic's."""
    bank = marker.banks([fresh_key()])[0]
    scheme = replace(bank.scheme, lists=len(pictures) * KEYS_A_TILE // 20)
    rng = np.random.default_rng(4)
    coins = np.stack([scheme.coins(fresh_key(), n) for n in range(scheme.lists)])
    hits = {test: np.zeros(len(LEVELS)) for test in Test}
    sizes = {test: np.zeros(len(LEVELS)) for test in Test}
    published = np.zeros(len(LEVELS))
    for part in torch.split(torch.from_numpy(pictures), 64):
        reading = marker.codec.read(part)
        for tokens, margin in zip(reading.tokens.numpy(), reading.margin.numpy(), strict=True):
            own = coins[rng.integers(0, len(coins), KEYS_A_TILE)]
            for test in Test:
                stakes = stake(test, scheme.colouring, tokens, margin)
                p = tail(stakes.weight, stakes.gamma)[statistics(stakes, own)]
                hits[test] += [(p <= level).sum() for level in LEVELS]
                sizes[test] += [KEYS_A_TILE * attained(stakes, level) for level in LEVELS]
            green = own[:, tokens.ravel()].sum(1)
            p = stats.binom.sf(green - 1, tokens.size, 0.5)
            published += [(p <= level).sum() for level in LEVELS]
    trials = len(pictures) * KEYS_A_TILE
    rows = []
    for test in Test:
        cells = []
        for n, exact in zip(hits[test], sizes[test], strict=True):
            low, high = stats.binom.interval(0.999, trials, min(exact / trials, 1))
            inside = "" if low <= n <= high else " OUTSIDE"
            cells.append(f"{n / trials:.2e} ({exact / trials:.2e}){inside}")
        rows.append(f"| {what} | {test.value} | {trials:,} | " + " | ".join(cells) + " |")
    cells = [f"{n / trials:.2e}" for n in published]
    rows.append(f"| {what} | published (binomial) | {trials:,} | " + " | ".join(cells) + " |")
    return rows


def power_rows(kind: Kind, count: int, plan: Plan) -> list[str]:
    """The share of marked drawings found after each attack, family-wise 1e-6."""
    generator = load_generator("icons-128")
    marker = Marker(generator.name, generator.spec, generator.codec)
    key = fresh_key()
    requests = [Request(text, 9000 + n) for n, (_, text) in enumerate(prompts(count))]
    made = generate(generator, marker, requests, mark=kind, key=key)
    pictures = [
        m.drawn.pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255) for m in made
    ]
    rows = []
    for name, bar in ATTACKS:
        found, seconds = 0, 0.0
        for n, picture in enumerate(pictures):
            search = marker.search(attacked(picture, find(name), seed=n), plan)
            finding = detect(search.views(), marker.banks([key]), planned=search.planned)
            found += finding.outcome is Outcome.DETECTED
            seconds += search.cost.seconds
        low, high = stats.binomtest(found, count).proportion_ci()
        rate = found / count
        verdict = "met" if rate >= bar else "missed"
        rows.append(
            f"| {kind.value} | {name} | {bar} | {rate:.3f} ({low:.3f} to {high:.3f}) | {verdict} "
            f"| {seconds / count:.2f} s |"
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--tiles", type=int, default=20_000)
    parser.add_argument("--drawings", type=int, default=500)
    parser.add_argument("--marks", type=Kind, nargs="*", default=[Kind.LEXICAL])
    options = parser.parse_args()
    print(f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.\n")
    if options.tiles:
        generator = load_generator("icons-128")
        marker = Marker(generator.name, generator.spec, generator.codec)
        pictures = tiles(unseen_photographs(options.photographs, options.index), options.tiles)
        print("| pictures | test | trials | " + " | ".join(f"at {x:.0e}" for x in LEVELS) + " |")
        print("|---|---|---|" + "---|" * len(LEVELS))
        print("\n".join(size_rows(marker, pictures, "photograph tiles")) + "\n")
    print("| mark | attack | bar | found | | search |\n|---|---|---|---|---|---|")
    for kind in options.marks:
        power_rows(kind, options.drawings, FULL)


if __name__ == "__main__":
    main()

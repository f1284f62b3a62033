"""`make bench-scales`: what icons-128-scales reaches, measured here, as Markdown tables.

Drawings use captions, seeds and a key that no weight was fitted to. Tokens are read, scale by
scale, after each attack; a picture counts as found where the mark's corrected p is at most 1e-6, at
the level of brightness and contrast that reads most surely.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.icons import ATTACKS, contact_sheet, drawn, machine, prompts, stacked
from generators.catalog import WEIGHTS, Generator, load_generator
from generators.sampling import Drawn, Request, Unerased, Unmarked, draw
from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.watermark.detect import THRESHOLD, Bank, View, detect
from provenance.watermark.family import Family
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.level import AS_IT_IS, LEVELS, levelled
from provenance.watermark.search import STANDARD, Grid, read_scales
from workers.generate import How, generate, unerased
from workers.marking import Kind, Marker, load_markers, request_id

NAME = "icons-128-scales"
ALLOWED = 0.10  # below the bars of the raster model
KEY = Key(b"\x17" * 32, "bench", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
GAINS = ("brightness-1.5", "contrast-1.5")  # attacks that a level undoes


def read(generator: Generator, pixels: Pixels, attack: str) -> tuple[Grid, ...]:
    """The grids of a picture, at the level that reads most surely where a level was changed."""
    region = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    levels = LEVELS if attack in GAINS else (AS_IT_IS,)
    found = [read_scales(generator.codec, levelled(region, level)) for level in levels]
    return max(found, key=lambda grids: float(grids[-1].margin.mean()))


def marked(
    generator: Generator, marker: Marker, kind: Kind, count: int, strength: float | None
) -> list[Drawn]:
    """Drawings as `generate` makes them, as strongly marked as each file asks for; or all alike."""
    requests = [Request(text, 5000 + n) for n, (_, text) in enumerate(prompts(count))]
    if strength is not None:
        named = [request_id(NAME, request.prompt, request.seed) for request in requests]
        marks = [marker.watermark(kind, KEY, name, delta=strength) for name in named]
        return drawn(generator, requests, marks)
    made = generate(generator, marker, requests, How(kind, KEY, unerased))
    told = ", ".join(
        f"{strength:g}: {n}"
        for strength, n in sorted(Counter(one.strength for one in made).items())
    )
    print(f"{count} drawings by strength of the mark: {told}\n", flush=True)
    return [one.drawn for one in made]


def same(grids: Sequence[Grid], tokens: NDArray[np.int64]) -> list[float]:
    """The share of tokens read rightly, scale by scale."""
    sides = [grid.tokens.shape[0] for grid in grids]
    parts = np.split(tokens, np.cumsum([side * side for side in sides])[:-1])
    return [
        float((grid.tokens.ravel() == part).mean()) for grid, part in zip(grids, parts, strict=True)
    ]


def reading_table(generator: Generator, marker: Marker, pictures: Sequence[Drawn]) -> None:
    """Each attack: tokens read back, and pictures whose mark is found."""
    pixels, banks, family = stacked(pictures).numpy(), marker.banks([KEY]), everything()
    sides = " | ".join(f"{h} x {h}" for h, _ in (*generator.model.layout.coarser, (16, 16)))
    print(f"| after | {sides} | bar, 16 x 16 | | found | unmarked found |")
    print("|---" * (len(generator.spec.read_back) + 5) + "|", flush=True)
    plain = stacked(
        drawn(
            generator,
            [p.request for p in pictures[: len(pictures) // 2]],
            [Unmarked()] * (len(pictures) // 2),
        )
    ).numpy()
    for name, bar in ATTACKS:
        shares, found, wrong = [], 0, 0
        for n, picture in enumerate(pictures):
            grids = read(generator, attacked(pixels[n], find(name), seed=n), name)
            shares.append(same(grids, picture.tokens))
            found += _found(marker, banks, family, grids)
        for n in range(len(plain)):
            grids = read(generator, attacked(plain[n], find(name), seed=n), name)
            wrong += _found(marker, banks, family, grids)
        mean = np.mean(shares, 0)
        met = "met" if mean[-1] >= bar - ALLOWED else "missed"
        cells = " | ".join(f"{share:.3f}" for share in mean)
        print(
            f"| {name} | {cells} | >= {bar - ALLOWED:.2f} | {met} "
            f"| {found} of {len(pictures)} | {wrong} of {len(plain)} |",
            flush=True,
        )


def everything() -> Family:
    """What a standard search of `verify` tries: the marks of every model that comes with us."""
    markers, blank = load_markers(), np.zeros((3, 128, 128), np.float32)
    planned = markers.search(blank, STANDARD).planned
    return Family(tuple(bank.trials(planned[bank.scheme.lens]) for bank in markers.banks([KEY])))


def _found(marker: Marker, banks: Sequence[Bank], family: Family, grids: tuple[Grid, ...]) -> bool:
    """Whether verifying by a standard search would report the mark, all of its trials paid for."""
    view = View(marker.spec.codec.digest, "as it is", grids)
    finding = detect([view], banks, planned=STANDARD.looks)
    return family.correct(finding.p) <= THRESHOLD


def cost_lines(generator: Generator) -> None:
    """Seconds a picture, and megabytes."""
    requests = [Request(text, n) for n, (_, text) in enumerate(prompts(8))]
    print("| what | bar | measured | |\n|---|---|---|---|")
    for size in (1, 8):
        runs = []
        for _ in range(3):
            started = time.perf_counter()
            draw(
                generator.model,
                generator.codec,
                requests[:size],
                erasures=[Unerased()] * size,
                watermarks=[Unmarked()] * size,
            )
            runs.append((time.perf_counter() - started) / size)
        met = "met" if min(runs) <= 0.4 else "missed"
        print(f"| a picture, {size} at once | <= 0.4 s | {min(runs):.2f} s | {met} |", flush=True)
    spec = generator.spec
    own = (WEIGHTS / spec.transformer.file).stat().st_size / 1e6
    shared = sum((WEIGHTS / w.file).stat().st_size for w in (spec.codec, spec.reader)) / 1e6
    print(f"| weights of its own | <= 25 MB | {own:.1f} MB | {'met' if own <= 25 else 'missed'} |")
    every = own + shared
    met = "met" if every <= 25 else "missed"
    print(f"| with those shared with icons-128 | <= 25 MB | {every:.1f} MB | {met} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=int, default=200)
    parser.add_argument("--kind", type=Kind, choices=list(Kind), default=Kind.TRADE)
    parser.add_argument("--strength", type=float, help="nats; default: as `generate` chooses")
    parser.add_argument("--sheet", type=Path, default=Path("docs/icons-128-scales.png"))
    options = parser.parse_args()
    generator = load_generator(NAME)
    marker = Marker(generator.name, generator.spec, generator.codec)
    print(f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.\n")
    cost_lines(generator)
    pictures = marked(generator, marker, options.kind, options.drawings, options.strength)
    contact_sheet(pictures[:32], options.sheet)
    reading_table(generator, marker, pictures)


if __name__ == "__main__":
    main()

"""How often `verify` still finds a mark after each attack of a preset.

Every picture goes through every attack and is then searched exactly as verify searches an upload,
so a score is -log10 of the p that verify would state, corrected for its whole search, and the two
thresholds are the same for all attacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from provenance.image import Pixels, read_file, read_image
from provenance.robustness.attacks import Attack, attacked
from provenance.robustness.harness import Table, at_p, measure
from provenance.watermark.detect import detect
from provenance.watermark.keys import Key
from provenance.watermark.search import Plan
from workers.marking import Marks

THRESHOLDS = (at_p(1e-3), at_p(1e-6))
PROBE = 64  # px a side of what every attack is tried on before hours of work


class Pictures(Sequence[Pixels]):
    """Files as pixels, each read when it is looked at: a folder need not fit into memory."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...

    @overload
    def __getitem__(self, index: slice) -> Pictures: ...

    def __getitem__(self, index: int | slice) -> Pixels | Pictures:
        if isinstance(index, slice):
            return Pictures(self.files[index])
        file = self.files[index]
        return read_image(read_file(file), name=str(file))


def check_runs(attacks: Sequence[Attack]) -> None:
    """Run each attack once on noise; raises ExtraMissing for one that needs more packages."""
    noise = np.random.default_rng(0).random((3, PROBE, PROBE), np.float32)
    for attack in attacks:
        attacked(noise, attack, seed=0)


def robustness(
    pictures: Sequence[Pixels],
    attacks: Sequence[Attack],
    *,
    marks: Marks,
    keys: Sequence[Key],
    plan: Plan,
    method: str,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> Table:
    """What verifying with these keys finds; `advance` is called after every attacked picture."""
    banks = marks.banks(keys)

    def score(pixels: Pixels) -> float:
        search = marks.search(pixels, plan)
        finding = detect(search.views(), banks, planned=search.planned)
        advance()
        return max(0.0, -math.log10(finding.corrected))

    return measure(pictures, attacks, score, method=method, thresholds=THRESHOLDS, seed=seed)

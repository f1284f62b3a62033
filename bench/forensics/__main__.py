"""`make train-forensics` and `make bench-forensics`: data, fits, shipped weights, tables.

Nothing is drawn, fitted or looked at twice: what is done lies in --cache. With another code for any
of these steps, empty it.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from bench.forensics import looks, ship, tables, traces
from bench.forensics.counterparts import fit_codecs
from bench.forensics.families import families
from bench.forensics.fits import Fits
from bench.forensics.looks import Look
from bench.forensics.sources import FAMILIES, Photograph, Sample, as_pixels, photographs, samples
from bench.forensics.tables import Measured
from bench.icons import machine
from bench.marks.page import Table, format_table, insert
from provenance.forensics.alignment import check_counterparts

SHEET = 6  # photographs on the contact sheet


class Bench:
    """The options, and what they lead to."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.cache = options, options.cache
        self.cache.mkdir(parents=True, exist_ok=True)

    def photographs(self, split: str) -> list[Photograph]:
        """Those of a split."""
        return photographs(self.options.photographs, self.options.index, split)

    def build(self) -> None:
        """The codecs, every counterpart, the check of both, and a sheet to look at."""
        fit_codecs(self.photographs("train"), self.options.checkpoints)
        redraws = families(self.options.checkpoints)
        for split in ("calib", "train"):
            made = list(samples(self.photographs(split), redraws, self.cache))
            reals = [as_pixels(one.region) for one in made]
            for family in FAMILIES:
                drawn = [as_pixels(one.redrawn[family]) for one in made]
                error = check_counterparts(drawn, reals, source=family)
                print(f"{split} {family}: mean error {error:.4f}", flush=True)
            if split == "calib":
                contact_sheet(made[:: max(1, len(made) // SHEET)], self.cache / "sheet.png")

    @cached_property
    def calib(self) -> list[Sample]:
        """The samples of the calib split, which must have been drawn."""
        return list(samples(self.photographs("calib"), dict.fromkeys(FAMILIES), self.cache))

    @cached_property
    def fits(self) -> Fits:
        """All fits."""
        return Fits(self.photographs("train"), self.cache)

    @cached_property
    def measured(self) -> Measured:
        """Looks and fits."""
        return Measured(self.calib, self.fits, cache(self.looks))

    def looks(self, kind: str, *, same: bool) -> list[Look]:
        """All looks of a kind, as the embedded member looks at pictures or as they are."""
        views = {"native": looks.native, "strata": looks.strata, "swaps": looks.swaps}[kind]
        kept = self.cache / f"looks-{kind}{'-same' if same else ''}.pickle"
        if not kept.exists():
            kept.write_bytes(pickle.dumps(list(looks.looks(views(self.calib), same=same))))
        found: list[Look] = pickle.loads(kept.read_bytes())  # noqa: S301 - written here
        return found

    def tables(self) -> dict[str, Callable[[], Table]]:
        """Every table by name, measured when it is called."""
        options = self.options
        return {
            "families": lambda: tables.families_table(self.measured),
            "coverage": lambda: tables.coverage_table(self.measured),
            "swaps": lambda: tables.swaps_table(self.measured),
            "strata": lambda: tables.strata_table(self.measured),
            "ablation": lambda: tables.ablation_table(self.measured),
            "answers": lambda: traces.answers_table(self.measured),
            "trace": lambda: traces.trace_table(options.drawings, options.font),
            "explanation": lambda: traces.explanation_table(self.calib),
            "speed": lambda: traces.speed_table(self.calib),
        }


def contact_sheet(chosen: Sequence[Sample], path: Path) -> None:
    """Photographs, each beside its counterparts."""
    rows = []
    for sample in chosen:
        pictures = [sample.region, *(sample.redrawn[family] for family in FAMILIES)]
        rows.append(np.concatenate([picture[:192, :192] for picture in pictures], axis=1))
    Image.fromarray(np.concatenate([row for row in rows if row.shape == rows[0].shape])).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=("build", "train", "tables"))
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".data/forensics"))
    parser.add_argument("--checkpoints", type=Path, default=Path(".data/checkpoints"))
    parser.add_argument("--drawings", type=Path, default=Path(".data/marks"))
    parser.add_argument("--font", type=Path, default=traces.FONT)
    parser.add_argument("--docs", type=Path, default=Path("docs/classifier.md"))
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    bench = Bench(options)
    if options.step == "build":
        bench.build()
    elif options.step == "train":
        ship.classifier(bench.fits, bench.calib)
        ship.trace(options.font)
    else:
        for name, measure in bench.tables().items():
            if options.only and name not in options.only:
                continue
            table = measure()
            text = format_table(table, day=date.today(), machine=machine())  # noqa: DTZ011
            print(f"\n{text}", flush=True)
            options.docs.write_text(insert(options.docs.read_text(), table.name, text))


if __name__ == "__main__":
    main()

"""Writes what `provenance.forensics` comes with: weights, calibration, statistics of the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from bench.forensics.emoji import glyphs, on_background
from bench.forensics.fits import NONE, Fits
from bench.forensics.sources import Sample, as_pixels
from bench.forensics.views import FULL
from provenance.forensics.conformal import calibrate
from provenance.forensics.member import WEIGHTS, load_embedded, look
from provenance.forensics.trace import WEIGHTS as FOLDER
from provenance.forensics.trace import compare, write_others
from provenance.forensics.treatments import blur, every, resave
from provenance.image import Pixels
from workers.classifying import CALIBRATION, codec_name, redraw
from workers.marking import load_marker

MODEL = "icons-128"


def classifier(fits: Fits, calib: Sequence[Sample]) -> None:
    """The embedded member, and its calibration by every photograph of the calib split."""
    WEIGHTS.parent.mkdir(exist_ok=True)
    save_file(fits.fitted("permissive", FULL, NONE).tensors(), WEIGHTS)
    member = load_embedded()

    def scores(sample: Sample) -> Iterator[tuple[str, float]]:
        for stratum, pixels in every(as_pixels(sample.region)):
            if min(pixels.shape[1:]) >= member.side:
                yield stratum, look(member, pixels).score

    found = calibrate(
        (list(scores(sample)) for sample in calib),
        member=member.name,
        basis=f"{len(calib)} photographs, none of which was used to fit",
    )
    found.write(CALIBRATION)
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size / 2**20:.2f} MB, {member.name}", flush=True)


def trace(font: Path) -> None:
    """Statistics of every second glyph: of each the lowest of what can happen to it."""
    marker = load_marker(MODEL)
    again = redraw(marker)
    found = []
    for picture in pictures(font, odd=False):
        treated = (picture, resave(70)(picture), blur(1.0)(picture))
        found.append(min(compare(one, again(one))[0] for one in treated))
    basis = f"{len(found)} glyphs of Noto Color Emoji on backgrounds like the model's"
    write_others(FOLDER / f"trace-{MODEL}.json", codec_name(marker), basis, found)
    print(f"trace: {len(found)} pictures, lowest {min(found):.3f}", flush=True)


def pictures(font: Path, *, odd: bool) -> Iterator[Pixels]:
    """Every second glyph on a background; the two halves share none."""
    rng = np.random.default_rng(int(odd))
    for number, glyph in enumerate(glyphs(font)):
        if number % 2 == int(odd):
            yield on_background(glyph, rng)

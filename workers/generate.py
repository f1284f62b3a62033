"""Draw, mark, and read the mark back: what leaves carries a mark that was seen in its own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from generators.catalog import Generator
from generators.sampling import Drawn, Request, draw
from provenance.image import encode_png, read_image
from provenance.watermark.detect import Finding, Outcome, detect
from provenance.watermark.keys import Key
from provenance.watermark.search import QUICK
from workers.marking import Kind, Marker, request_id

BATCH = 8
# Bias in nats, tried in turn until the mark can be read back well; the last leaves red codes
# little chance. A picture that cannot carry the mark even so is refused.
STRENGTHS = (2.0, 4.0, 7.0)
TARGET = 1e-9  # corrected p right after drawing, a thousandfold below the threshold of verifying


class WeakMark(RuntimeError):
    """The picture cannot carry a mark that survives; it was not given out."""


@dataclass(frozen=True)
class Marked:
    """A marked picture as a PNG file, with what its own file shows."""

    drawn: Drawn
    png: bytes
    mark: Kind
    strength: float
    finding: Finding


def generate(
    generator: Generator,
    marker: Marker,
    requests: Sequence[Request],
    *,
    mark: Kind,
    key: Key,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Marked]:
    """Draw the requests, each as weakly marked as reading it back allows; raises WeakMark."""
    done: dict[int, Marked] = {}
    for strength in STRENGTHS:
        left = [number for number in range(len(requests)) if number not in done]
        for start in range(0, len(left), BATCH):
            numbers = left[start : start + BATCH]
            batch = [requests[number] for number in numbers]
            drawn = _draw(generator, marker, batch, mark, key, strength, progress)
            for number, picture in zip(numbers, drawn, strict=True):
                marked = _read_back(marker, picture, mark, key, strength)
                if marked.finding.corrected <= TARGET:
                    done[number] = marked
                elif strength == STRENGTHS[-1] or mark is Kind.SWAP:
                    _check_carries(marked)
                    done[number] = marked
    return [done[number] for number in range(len(requests))]


def _draw(
    generator: Generator,
    marker: Marker,
    batch: Sequence[Request],
    mark: Kind,
    key: Key,
    strength: float,
    progress: Callable[[int, int], None],
) -> list[Drawn]:
    watermarks = [
        marker.watermark(mark, key, request_id(generator.name, r.prompt, r.seed), delta=strength)
        for r in batch
    ]
    return draw(generator.model, generator.codec, batch, watermarks=watermarks, progress=progress)


def _read_back(marker: Marker, drawn: Drawn, mark: Kind, key: Key, strength: float) -> Marked:
    """The finding in the file as written, under the key it was marked with."""
    png = encode_png((drawn.pixels.transpose(2, 0, 1) / 255).astype(np.float32))
    search = marker.search(read_image(png, name="the picture just drawn"), QUICK)
    finding = detect(search.views(), marker.banks([key]), planned=search.planned)
    return Marked(drawn, png, mark, strength, finding)


def _check_carries(marked: Marked) -> None:
    if marked.finding.outcome is not Outcome.DETECTED:
        request = marked.drawn.request
        raise WeakMark(
            f"{request.prompt!r}, seed {request.seed}: the picture cannot carry the mark "
            f"(corrected p {marked.finding.corrected:.1e}, at most {marked.finding.threshold:.0e} "
            f"is needed); try another seed or prompt"
        )

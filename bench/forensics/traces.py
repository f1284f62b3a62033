"""Tables of the finished product: its answers, the trace of our model, the maps, the time."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from torch import nn

from bench.forensics.measure import REAL, calibrations, share
from bench.forensics.ship import MODEL, pictures
from bench.forensics.sources import FAMILIES, Sample, as_pixels
from bench.forensics.tables import Measured
from bench.marks.drawings import unmarked
from bench.marks.page import Table
from generators.catalog import load_generator
from provenance.forensics.answer import Classifier, Outcome
from provenance.forensics.crops import SIDE
from provenance.forensics.member import Embedded, load_embedded, look
from provenance.forensics.trace import Tracer
from provenance.forensics.treatments import blur, resave
from provenance.image import Pixels
from provenance.robustness import files
from workers.classifying import load_classifier, load_trace
from workers.marking import load_marker

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
DRAWINGS = 300
ROUNDS = 15
MOST_MS = 150
TREATED: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": files.rounded,
    "JPEG 90": resave(90),
    "JPEG 70": resave(70),
    "JPEG 50": resave(50),
    "WebP 75": lambda pixels: files.webp(pixels, 75),
    "blurred, sigma 1": blur(1.0),
}


def answers_table(measured: Measured) -> Table:
    """What is answered in the end, after the test of re-shipment, by kind of picture."""
    member = load_embedded()
    by = [Classifier(member, one) for one in calibrations(measured.shipped_strata, measured.fold)]
    counts: dict[str, Counter[Outcome]] = {kind: Counter() for kind in (REAL, *FAMILIES)}
    for number, sample in enumerate(measured.samples):
        classifier = by[measured.fold[number]]
        counts[REAL][classifier.answer(as_pixels(sample.region)).outcome] += 1
        for family, redrawn in sample.redrawn.items():
            pixels = sample.history.apply(as_pixels(redrawn))
            counts[family][classifier.answer(pixels).outcome] += 1
    outcomes = (Outcome.EVIDENCE, Outcome.INSUFFICIENT, Outcome.OUT_OF_SCOPE)
    rows = tuple(
        (
            "photographs" if kind == REAL else kind,
            *(str(count[outcome]) for outcome in outcomes),
            str(share(count[Outcome.EVIDENCE], count.total())),
        )
        for kind, count in counts.items()
    )
    note = "The shipped member, calibrated by other folds; it was fitted with all of the families."
    return Table("answers", ("pictures", *map(str, outcomes), "share with evidence"), rows, (note,))


def trace_table(folder: Path, font: Path) -> Table:
    """How many drawings, and how many pictures that we did not draw, are called our model's."""
    tracer = load_trace(load_marker(MODEL))
    assert tracer is not None, "the model's trace is calibrated"
    album = unmarked(folder, load_generator(MODEL), DRAWINGS)
    drawn = [drawing.pixels for drawing in album.drawings]
    others = list(pictures(font, odd=True))
    rows = [
        ("drawings of icons-128, unmarked", name, str(_traced(tracer, map(treat, drawn))))
        for name, treat in TREATED.items()
    ]
    for name in ("as it is", "JPEG 70", "blurred, sigma 1"):
        found = _traced(tracer, map(TREATED[name], others))
        rows.append(("glyphs that it did not draw", name, str(found)))
    header = ("128 px pictures", "after", "called our model's at p <= .001")
    note = (
        f"{len(drawn)} drawings; {len(others)} glyphs of Noto Color Emoji, which are others than "
        f"the {len(tracer.others)} that the p-values come from."
    )
    return Table("trace", header, tuple(rows), (note,))


def _traced(tracer: Tracer, given: Sequence[Pixels] | map[Pixels]) -> object:
    answers = [tracer.trace(pixels) for pixels in given]
    return share(sum(one is not None and one.own for one in answers), len(answers))


def explanation_table(samples: Sequence[Sample]) -> Table:
    """Deletion, and the same map by a member with random weights."""
    member, rng = load_embedded(), np.random.default_rng(0)
    random = _random_member(member)
    drops, controls, alike = [], [], []
    for sample in samples:
        real = as_pixels(sample.region)
        if min(real.shape[1:]) < 2 * SIDE:
            continue
        for family in FAMILIES:
            drawn = sample.history.apply(as_pixels(sample.redrawn[family]))
            scores = look(member, drawn)
            order = np.argsort(-scores.logits)
            chosen = rng.permutation(len(order))
            drops.append(scores.score - _without(member, drawn, real, order[:2]))
            controls.append(scores.score - _without(member, drawn, real, chosen[:2]))
            alike.append(spearmanr(scores.logits, look(random, drawn).logits).statistic)
    better = share(int(np.sum(np.array(drops) > np.array(controls))), len(drops))
    rows = (
        ("score lost with the two highest crops", f"{np.mean(drops):.3f}"),
        ("score lost with two random crops", f"{np.mean(controls):.3f}"),
        ("pictures in which the highest cost more", str(better)),
        ("rank correlation with a map by random weights", f"{np.nanmean(alike):.3f}"),
    )
    note = f"{len(drops)} drawn pictures; a deleted crop is the photograph's own."
    return Table("explanation", ("what", "figure"), rows, (note,))


def _without(
    member: Embedded, drawn: Pixels, real: Pixels, crops: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> float:
    changed, places = drawn.copy(), look(member, drawn).places
    for number in crops:
        y, x = places[number]
        changed[:, y : y + SIDE, x : x + SIDE] = real[:, y : y + SIDE, x : x + SIDE]
    return look(member, changed).score


def _random_member(member: Embedded) -> Embedded:
    """The same networks with weights that were never fitted."""
    again = load_embedded()
    for module in (*again.net.modules(), *again.head.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
    again.head.set_scale(member.head.mean, member.head.spread)
    return again


def speed_table(samples: Sequence[Sample]) -> Table:
    """The time of a whole answer: where the picture is no evidence, and where it is sent on."""
    usual = load_classifier([load_marker(MODEL)])
    cases = (("", replace(usual, alpha=0.0)), (", sent on", replace(usual, alpha=1.0)))
    source = next(as_pixels(s.region) for s in samples if min(s.region.shape[:2]) >= 320)
    rows = []
    for side, (case, classifier) in product((256, 512, 1024, 2048), cases):
        pixels = files.resized(source, side, side)
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            classifier.answer(pixels)
            seconds.append(time.perf_counter() - start)
        middle = statistics.median(seconds) * 1e3
        met = ("yes" if middle <= MOST_MS else "no") if side == 512 else ""
        rows.append((f"{side} px{case}", f"{middle:.0f} ms", f"{max(seconds) * 1e3:.0f} ms", met))
    header = ("picture", "median", "slowest", f"at most {MOST_MS} ms")
    return Table("speed", header, tuple(rows), (f"{ROUNDS} answers each, everything included.",))

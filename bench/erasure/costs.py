"""What erasure costs a picture, and what it does to the mark, side by side in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.erasure.measure import Tally
from bench.erasure.methods import Method, Studio, eraser
from bench.erasure.prompts import FAR, FIVE, GUN, SUBJECTS, placed
from bench.erasure.served import KEY
from bench.erasure.tables import cell
from generators.sampling import Erasure, Request, Unmarked, draw
from generators.training.things import spoken
from provenance.watermark.detect import THRESHOLD
from workers.generate import How, attempt
from workers.marking import Kind, Marker

ROUNDS = 2
MARKED = 32  # pictures with and without erasure


def batch(studio: Studio, prompts: Sequence[str], erase: Callable[[str, int], Erasure]) -> float:
    """Seconds to screen and draw the prompts together."""
    started = time.perf_counter()
    draw(
        studio.model,
        studio.generator.codec,
        [Request(text, n) for n, text in enumerate(prompts)],
        erasures=[erase(text, 0) for text in prompts],
        watermarks=[Unmarked()] * len(prompts),
    )
    return time.perf_counter() - started


def cost_table(studio: Studio) -> str:
    """Seconds a picture over those without erasure; the least of two rounds, taken in turn."""
    concept = [placed(GUN.plain[n % 2], n) for n in range(8)]
    far = [placed(spoken(name), n) for n, name in enumerate(FAR[:8])]
    lines = {
        "no erasure": (Method.NONE, (GUN,), concept),
        "sampling-time, the concept is asked for": (Method.SAMPLING, (GUN,), concept),
        "sampling-time, no gate fires": (Method.SAMPLING, (GUN,), far),
        "sampling-time, five concepts, one is asked for": (Method.SAMPLING, FIVE, concept),
        "negative prompt": (Method.NEGATIVE, (GUN,), concept),
        "delta": (Method.DELTA, (GUN,), concept),
        "both": (Method.BOTH, (GUN,), concept),
    }
    best: dict[str, list[float]] = {}
    for size in (1, 8):
        for _ in range(ROUNDS):
            for name, (method, subjects, prompts) in lines.items():
                with studio.weights(method, subjects):
                    took = batch(studio, prompts[:size], eraser(studio, method, subjects)) / size
                seconds = best.setdefault(name, [1e9, 1e9])
                at = 0 if size == 1 else 1
                seconds[at] = min(seconds[at], took)
    alone, together = best["no erasure"]
    rows = ["| | alone | in a batch of 8 |", "|---|---|---|"]
    rows += [
        f"| {name} | {a / alone:.2f} ({a:.2f} s) | {b / together:.2f} ({b:.2f} s) |"
        for name, (a, b) in best.items()
    ]
    return "\n".join(rows)


def power_table(studio: Studio) -> str:
    """Marked pictures in which the mark is found again, drawn by the default mark at its first
    strength and worn as drawings are; with the same prompts unerased and erased."""
    marker = Marker(studio.generator.name, studio.generator.spec, studio.generator.codec)
    prompts = [
        f"{SUBJECTS[n % 7].plain[n // 7 % 2]}, on a {('blue', 'grey', 'red')[n % 3]} background"
        for n in range(MARKED)
    ]
    rows = ["| | no erasure | sampling-time |", "|---|---|---|"]
    for kind in (Kind.TRADE, Kind.LEXICAL):
        cells = []
        for method in (Method.NONE, Method.SAMPLING):
            erase = eraser(studio, method, SUBJECTS[:7])
            how = How(kind, KEY, lambda request, erase=erase: erase(request.prompt, 0))  # type: ignore[misc]
            requests = [Request(text, 900 + n) for n, text in enumerate(prompts)]
            made = attempt(studio.generator, marker, requests, how)
            tally = Tally()
            tally.add(one.finding.corrected <= THRESHOLD for one in made)
            cells.append(cell(tally))
        rows.append(f"| {kind.value} | {cells[0]} | {cells[1]} |")
    return "\n".join(rows)

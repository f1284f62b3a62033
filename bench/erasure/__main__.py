"""`make bench-erasure`: what each way to keep a concept out reaches, as tables of the docs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from bench.erasure.costs import cost_table, power_table
from bench.erasure.judge import load_judge
from bench.erasure.measure import adversarial, measured
from bench.erasure.methods import FIRST, Method, Studio, open_studio
from bench.erasure.prompts import FIVE, SUBJECTS, Subject
from bench.erasure.tables import by_subject, show, summary
from generators.training.checker import NAMES, Sightings
from generators.training.icons import load_icons


def train(studio: Studio) -> None:
    """Every delta and EAR's weights, kept in the cache."""
    for what, make, subjects in (
        ("delta", studio.delta, SUBJECTS),
        ("EAR", studio.ear, SUBJECTS[: FIRST[Method.EAR]]),
    ):
        for subject in subjects:
            started = time.monotonic()
            make(subject)
            print(f"{what} of {subject.name}: {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["train", "draw", "cost", "all"])
    parser.add_argument("--icons", type=Path, required=True, help="assets of fluent-emoji-3d")
    parser.add_argument("--cache", type=Path, default=Path(".data/erasure"))
    parser.add_argument("--docs", type=Path, help="the page whose tables are replaced")
    parser.add_argument("--method", type=Method, action="append", choices=list(Method))
    parser.add_argument("--subject", action="append", choices=[one.name for one in SUBJECTS])
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    studio = open_studio(options.cache)
    if options.act in ("train", "all"):
        train(studio)
    if options.act == "train":
        return
    if options.act in ("draw", "all"):
        subjects = [one for one in SUBJECTS if one.name in (options.subject or [one.name])]
        draws(studio, options.icons, options.method or list(Method), subjects, options.docs)
    if options.act in ("cost", "all"):
        show({"cost": cost_table(studio), "marks": power_table(studio)}, options.docs)


def draws(
    studio: Studio,
    icons: Path,
    methods: Sequence[Method],
    subjects: Sequence[Subject],
    docs: Path | None,
) -> None:
    """The tables of what is erased and kept, by concept, and for five at once if all are asked."""
    for subject in subjects:
        adversarial(studio, subject)
    parts = load_icons(icons, only=NAMES)
    cutouts = {icon.name: icon.cutout for part in parts for icon in part}
    judge = load_judge(studio.cache / "judge.pt", Sightings(studio.generator, cutouts))
    total, each = measured(studio, judge, methods, subjects)
    show({"summary": summary(total), "subjects": by_subject(each)}, docs)
    if len(subjects) < len(SUBJECTS):
        return
    at_once = [
        one for one in (Method.NONE, Method.SAMPLING, Method.DELTA, Method.BOTH) if one in methods
    ]
    total, _ = measured(studio, judge, at_once, FIVE, together=True)
    show({"five": summary(total)}, docs)


if __name__ == "__main__":
    main()

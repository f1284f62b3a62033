"""`countermark classifier`: calibrate a member, keep appeals, and see whether scores drift.

`calibrate` takes real photographs, some hundred, and writes the calibration that `verify` needs for
a member of your own. `appeal` keeps a picture that was judged wrongly; `check` fails while any of
them is. `drift` compares the scores of uploads before and after a moment.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console

from generators.catalog import GENERATORS
from provenance.database import snapshot
from provenance.forensics import appeals, drift
from provenance.forensics.appeals import Truth
from provenance.forensics.conformal import FEWEST, calibrate
from provenance.forensics.member import Member, look
from provenance.forensics.scope import middle, scope
from provenance.forensics.treatments import every
from provenance.image import Pixels, read_file, read_image
from workers.classifying import load_classifier, load_member
from workers.commands import Usage, member_options, moment
from workers.commands.bench import images, progress
from workers.folder import data_folder, open_folder
from workers.marking import load_marker

APPEALS = "appeals"  # in the data folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    top = commands.add_parser("classifier", help="calibrate it, keep appeals, watch for drift")
    kinds = top.add_subparsers(dest="classifier", required=True)
    made = kinds.add_parser("calibrate", help="from real photographs, for a member")
    made.add_argument("--photographs", type=Path, required=True, metavar="DIR")
    made.add_argument("--out", type=Path, required=True, metavar="FILE")
    made.set_defaults(run=run_calibrate)
    kept = kinds.add_parser("appeal", help="keep a picture that was judged wrongly")
    kept.add_argument("file", type=Path, metavar="FILE")
    kept.add_argument("--is", dest="truth", choices=[str(t) for t in Truth], required=True)
    kept.add_argument("--note", default="", metavar="TEXT", help="how that is known")
    kept.set_defaults(run=run_appeal)
    check = kinds.add_parser("check", help="fail while any appeal is judged wrongly")
    check.set_defaults(run=run_check)
    for one in (made, check):
        member_options(one)
    moved = kinds.add_parser("drift", help="compare uploads' scores before and after a moment")
    moved.add_argument("--since", type=moment, required=True, metavar="TIME")
    moved.set_defaults(run=run_drift)


def run_calibrate(options: argparse.Namespace, console: Console) -> int:
    """Score every photograph in every stratum, and write the calibration."""
    member = load_member(options.member)
    files = images(options.photographs, None)
    pictures, refused = [], 0
    with progress(console) as bar:
        task = bar.add_task("scoring", total=len(files))
        for file in files:
            pixels = read_image(read_file(file), name=str(file))
            if scope(pixels) is None:
                pictures.append(list(strata_scores(member, pixels)))
            else:
                refused += 1
            bar.advance(task)
    if len(pictures) < FEWEST:
        raise Usage(f"--photographs: {len(pictures)} are in scope, at least {FEWEST} are needed")
    basis = f"{len(pictures)} photographs of {options.photographs.resolve().name}"
    found = calibrate(pictures, member=member.name, basis=basis)
    found.write(options.out)
    least = 1 / (1 + min(map(len, found.scores.values())))
    said = f"wrote {options.out}: {basis}, {refused} out of scope; the least p is {least:.4f}"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


def strata_scores(member: Member, pixels: Pixels) -> Iterator[tuple[str, float]]:
    """The strata that leave a photograph large enough, and its score in each."""
    for stratum, treated in every(middle(pixels)):
        if min(treated.shape[1:]) >= member.side:
            yield stratum, look(member, treated).score


def run_appeal(options: argparse.Namespace, console: Console) -> int:
    """Keep one picture."""
    with open_folder(data_folder(os.environ)) as folder:
        truth = Truth(options.truth)
        kept = appeals.add(folder.path / APPEALS, options.file, truth, options.note)
    console.print(f"kept {kept.file} as {kept.truth}", markup=False, highlight=False)
    return 0


def run_check(options: argparse.Namespace, console: Console) -> int:
    """Judge every appeal; 1 if any is judged wrongly."""
    classifier = load_classifier(
        [load_marker(next(iter(GENERATORS)))], options.member, options.calibration
    )
    with open_folder(data_folder(os.environ)) as folder:
        count = len(appeals.read_appeals(folder.path / APPEALS))
        failed = list(appeals.failures(folder.path / APPEALS, classifier))
    for one in failed:
        said = f"{one.appeal.file}: {one.says}, but it is {one.appeal.truth} {one.appeal.note}"
        Console().print(said.rstrip(), markup=False, highlight=False, soft_wrap=True)
    Console().print(f"{count - len(failed)} of {count} appeals pass", highlight=False)
    return 1 if failed else 0


def run_drift(options: argparse.Namespace, console: Console) -> int:
    """Compare two periods; 1 if the scores moved."""
    before, after = uploads(options.since)
    found = drift.compare(before, after)
    verdict = "the scores moved: calibrate anew" if found.moved else "no drift that chance excludes"
    said = (
        f"{found.before} uploads before, {found.after} after: medians {found.medians[0]:.3f} and "
        f"{found.medians[1]:.3f}, distance {found.statistic:.3f}, p {found.p:.2g}; {verdict}"
    )
    Console().print(said, markup=False, highlight=False, soft_wrap=True)
    return 1 if found.moved else 0


def uploads(since: datetime) -> tuple[list[float], list[float]]:
    """The scores of the uploads that were checked before and from a moment on."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        every_score = list(drift.scores(session))
    before = [score for when, score in every_score if when < since]
    return before, [score for when, score in every_score if when >= since]

"""`countermark bench`: what the mark survives, and whom the classifier accuses, on own pictures.

`robustness` writes report.json, report.html and the marked pictures to a folder. Every picture is
read and every attack is run once before the work begins, so that what is bad or missing is named at
once. A picture that cannot carry a mark is not measured, and the report names it. `forensics`
prints how many real photographs the classifier calls drawn, after each treatment.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from generators.catalog import GENERATORS
from provenance.errors import Unreadable
from provenance.files import write_file
from provenance.forensics.treatments import TREATMENTS
from provenance.image import read_file, read_image
from provenance.robustness.harness import Table
from provenance.robustness.presets import preset
from provenance.robustness.report import Report, as_json, as_page
from provenance.watermark.embeddability import CannotCarry
from provenance.watermark.keys import Key
from workers.accusing import accuse
from workers.bench import Pictures, check_runs, robustness
from workers.brought import install_models
from workers.classifying import load_classifier
from workers.commands import Usage, member_options
from workers.commands.verify import PLANS
from workers.folder import TENANT, data_folder, load_keys
from workers.generate import WeakMark
from workers.mark import Sought, mark
from workers.marking import Marker, load_marker, load_markers

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SMALLEST = 64  # px a side: of less, some attacks leave hardly a token


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    bench = commands.add_parser("bench", help="measure mark or classifier on own pictures")
    kinds = bench.add_subparsers(dest="bench", required=True)
    measured = kinds.add_parser("robustness", help="what the mark survives")
    measured.add_argument("--images", type=Path, required=True, metavar="DIR")
    measured.add_argument("--preset", default="house", metavar="NAME", help="see docs/attacks.md")
    measured.add_argument("--out", type=Path, default=Path("robustness"), metavar="DIR")
    measured.add_argument("--limit", type=int, metavar="N", help="the first N pictures by name")
    measured.add_argument("--marked", action="store_true", help="the pictures are marked already")
    measured.add_argument("--search", choices=list(PLANS), default="full", help="as in verify")
    measured.add_argument("--seed", type=int, default=0, metavar="N", help="of random attacks")
    measured.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    measured.set_defaults(run=run)
    accused = kinds.add_parser("forensics", help="how often the classifier accuses photographs")
    accused.add_argument("--photographs", type=Path, required=True, metavar="DIR")
    accused.add_argument("--limit", type=int, metavar="N", help="the first N by name")
    member_options(accused)
    accused.set_defaults(run=run_forensics)


def run(options: argparse.Namespace, console: Console) -> int:
    """Check, mark, attack, report."""
    chosen, plan = preset(options.preset), PLANS[options.search]
    attacks = chosen.attacks()
    files = images(options.images, options.limit)
    install_models(data_folder(os.environ))
    known, marks = load_keys(data_folder(os.environ)), load_markers()
    marker = load_marker(options.model)
    check_runs(attacks)
    options.out.mkdir(parents=True, exist_ok=True)
    method, refused = f"marks found in {options.images.resolve().name}", list[str]()
    with progress(console) as bar:
        if not options.marked:
            task = bar.add_task("marking", total=len(files))
            files, refused, nearest = marked(
                files,
                options.out / "marked",
                marker=marker,
                sought=Sought(marks, known.keys),
                key=known.active(TENANT),
                advance=lambda: bar.advance(task),
            )
            method = f"{marker.posthoc.scheme.name} of {marker.name}, {nearest:.1f} dB at the least"
        task = bar.add_task("attacking", total=len(files) * len(attacks))
        table = robustness(
            Pictures(files),
            attacks,
            marks=marks,
            keys=known.keys,
            plan=plan,
            method=f"{method}, {plan.name} search",
            seed=options.seed,
            advance=lambda: bar.advance(task),
        )
    title = f"What the mark survives: {options.preset}, {len(files)} pictures"
    report = Report(title, (table,), (*chosen.left_out, *refused))
    write_file(options.out / "report.json", as_json(report).encode())
    write_file(options.out / "report.html", as_page(report).encode())
    Console().print(summary(options.out, table, refused), markup=False, highlight=False)
    return 0


def run_forensics(options: argparse.Namespace, console: Console) -> int:
    """The share of real photographs that is accused after each treatment."""
    files = images(options.photographs, options.limit)
    marker = load_marker(next(iter(GENERATORS)))
    classifier = load_classifier([marker], options.member, options.calibration)
    rows = RichTable()
    for column in ("photographs that were", "judged", "accused", "95 % interval", "out of scope"):
        rows.add_column(column)
    with progress(console) as bar:
        task = bar.add_task("judging", total=len(files) * len(TREATMENTS))
        found = accuse(
            classifier,
            lambda: (read_image(read_file(file), name=str(file)) for file in files),
            lambda: bar.advance(task),
        )
        for row in found:
            low, high = row.interval
            counts = (str(row.judged), str(row.accused), f"{low:.3f} to {high:.3f}")
            rows.add_row(row.treatment, *counts, str(row.out_of_scope))
    Console().print(rows)
    said = f"{classifier.member.name}, alpha {classifier.alpha}; {classifier.calibration.basis}"
    Console().print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


def progress(console: Console) -> Progress:
    """A bar with counts on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def images(folder: Path, limit: int | None) -> list[Path]:
    """The pictures of a folder by name, each readable; raises Usage or Unreadable for the first."""
    if not folder.is_dir():
        raise Usage(f"--images: there is no folder {folder}")
    if limit is not None and limit < 1:
        raise Usage(f"--limit must be at least 1, not {limit}")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)[:limit]
    if not files:
        raise Usage(f"--images: no PNG, JPEG or WebP picture in {folder}")
    for file in files:
        _, height, width = read_image(read_file(file), name=str(file)).shape
        if min(height, width) < SMALLEST:
            small = f"{width} x {height} px, the attacks need {SMALLEST} px a side"
            raise Unreadable(str(file), small)
    return files


def marked(
    files: Sequence[Path],
    folder: Path,
    *,
    marker: Marker,
    sought: Sought,
    key: Key,
    advance: Callable[[], None],
) -> tuple[list[Path], list[str], float]:
    """The marked files written to a folder, why others are not among them, and the least PSNR.

    Raises WeakMark if no picture can carry a mark.
    """
    folder.mkdir(exist_ok=True)
    written, refused, nearest = list[Path](), list[str](), float("inf")
    for number, file in enumerate(files, start=1):  # of no record: nothing here is recorded
        try:
            made = mark(
                read_file(file),
                name=file.name,
                marker=marker,
                sought=sought,
                key=key,
                number=number,
                distance=None,
            )
        except (CannotCarry, WeakMark) as e:
            refused.append(f"{file.name}, which is not marked: {e}")
        else:
            written.append(folder / f"{file.name}.png")
            write_file(written[-1], made.file)
            nearest = min(nearest, made.marked.psnr)
        advance()
    if not written:
        raise WeakMark(f"none of the {len(files)} pictures is marked; {refused[0]}")
    return written, refused, nearest


def summary(out: Path, table: Table, refused: list[str]) -> str:
    """Some lines about what was measured."""
    shares = ", ".join(
        f"{table.mean(number):.3f} at {threshold.name}"
        for number, threshold in enumerate(table.thresholds)
    )
    lines = [
        f"{out / 'report.html'}  {table.pictures} pictures, {len(table.rows)} attacks; "
        f"found on average: {shares}"
    ]
    lines += [f"left out: {reason}" for reason in refused]
    return "\n".join(lines)

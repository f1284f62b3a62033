"""Whether the number in a marked photograph is read right, not at all, or wrong.

Photographs are marked as `countermark mark` does, each with a number drawn at random, and every
copy is searched in full, as `verify` does. A number that is not the picture's own is wrong, whether
or not the mark was found. Beside it what room drawings have for a number.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from bench.icons import prompts
from bench.marks.drawings import FIRST_SEED, bench_key
from bench.marks.page import Table
from bench.marks.processes import spread
from generators.catalog import Generator
from generators.interface import Site
from generators.sampling import Request, Unerased, draw
from provenance.image import Pixels, encode_png, read_image
from provenance.robustness.attacks import attacked, find
from provenance.watermark.colouring import green
from provenance.watermark.detect import Bank, GatedBank, Outcome, detect
from provenance.watermark.embeddability import CannotCarry, Judge
from provenance.watermark.family import Family
from provenance.watermark.lexical import LexicalBias
from provenance.watermark.payload import Payload
from provenance.watermark.search import FULL, QUICK
from workers.generate import BATCH, STRENGTHS, TARGET, WeakMark
from workers.mark import Sought, mark
from workers.marking import NUMBER_BITS, Kind, Marker

ATTACKS = ("none", "jpeg-75", "jpeg-50", "resize-0.5", "cut-0.75", "crop-0.75")
LEAST_BITS = 32  # what drawings are asked for
LEAST, MOST = 512, 1024  # px a side: smaller photographs are left out, larger ones made smaller


@dataclass(frozen=True, eq=False)
class Task:
    """One photograph and the number it is to carry."""

    path: Path
    number: int


@dataclass(frozen=True)
class Copy:
    """What was read from one copy of a marked photograph."""

    attack: str
    found: bool
    number: int | None
    units: int  # carrying units shown, 0 if no mark was found


@dataclass(frozen=True)
class Upload:
    """One photograph: the number it carries, and its copies; no copies if it carries no mark."""

    number: int | None
    psnr: float
    copies: tuple[Copy, ...]


def large_photographs(folder: Path, index: Path, count: int) -> list[Path]:
    """The first so many photographs of split calib whose sides are long enough."""
    with index.open(newline="") as rows:
        return [
            folder / row["file"]
            for row in csv.DictReader(rows)
            if row["split"] == "calib" and min(int(row["w"]), int(row["h"])) >= LEAST
        ][:count]


def measure(marker: Marker, task: Task) -> Upload:
    """Mark one photograph, attack it, and read its number from every copy."""
    data = encode_png(_bounded(read_image(task.path.read_bytes(), name=task.path.name)))
    key = bench_key()
    try:
        made = mark(
            data,
            name=task.path.name,
            marker=marker,
            sought=Sought(marker, [key]),
            key=key,
            number=task.number,
            distance=None,
        )
    except (CannotCarry, WeakMark):
        return Upload(None, 0.0, ())
    copies = tuple(_read(marker, made.marked.pixels, attack) for attack in ATTACKS)
    return Upload(made.number, made.marked.psnr, copies)


def _bounded(pixels: Pixels) -> Pixels:
    """At most MOST px a side."""
    _, height, width = pixels.shape
    scale = MOST / max(height, width)
    if scale >= 1:
        return pixels
    picture = Image.fromarray(np.rint(pixels.transpose(1, 2, 0) * 255).astype(np.uint8))
    small = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)


def _read(marker: Marker, pixels: Pixels, attack: str) -> Copy:
    search = marker.search(attacked(pixels, find(attack), seed=0), FULL)
    finding = detect(search.views(), marker.banks([bench_key()]), planned=search.planned)
    match = finding.match
    units = match.message.units if match and match.message else 0
    found = finding.outcome is Outcome.DETECTED
    return Copy(attack, found, match.number if match else None, units)


@dataclass(frozen=True)
class Biased:
    """The hooks of a lexical bias towards any green codes."""

    bias: LexicalBias

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return self.bias.favour(logits)

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        return tokens


def drawn(generator: Generator, marker: Marker, count: int) -> str:
    """How many drawings would carry a number, as one sentence.

    Each is drawn with every lexical bias of `generate`; carrying means that the number is read and
    that presence, in the half of the units that is left to it, reaches the target of drawings.
    """
    key, scheme = bench_key(), marker.scheme(Kind.LEXICAL)
    payload = Payload(scheme, LEAST_BITS)
    judge = Judge(marker.codec, GatedBank(Bank(scheme, [key], payload=payload)))
    family = Family(tuple(bank.trials(QUICK.looks) for bank in marker.banks([key])))
    wishes = [Request(wish[1], FIRST_SEED + n) for n, wish in enumerate(prompts(count))]
    read, carried, units = set(), set(), []
    for strength in STRENGTHS[Kind.LEXICAL]:
        for start in range(0, count, BATCH):
            part = range(start, min(start + BATCH, count))
            hooks = [
                Biased(LexicalBias(green(scheme.colouring, payload.coins(key, 0, n + 1)), strength))
                for n in part
            ]
            requests = [wishes[n] for n in part]
            pictures = draw(
                generator.model,
                generator.codec,
                requests,
                erasures=[Unerased()] * len(requests),
                watermarks=hooks,
            )
            for n, picture in zip(part, pictures, strict=True):
                pixels = (picture.pixels.transpose(2, 0, 1) / 255).astype(np.float32)
                message, presence = judge.message(pixels), judge.evidence(pixels)
                assert message is not None, "the scheme carries numbers"
                units.append(message.units)
                if message.number == n + 1:
                    read.add(n)
                    if family.correct(presence.p) <= TARGET:
                        carried.add(n)
    tried = ", ".join(f"{strength:g}" for strength in STRENGTHS[Kind.LEXICAL])
    return (
        f"Of {count} drawings, each biased by {tried} nats, {len(read)} "
        f"show a number of {LEAST_BITS} bits in a clean copy (carrying units {min(units)} to "
        f"{max(units)}, median {np.median(units):.0f}), and {len(carried)} of these also reach the "
        f"corrected p {TARGET:.0e} that a drawing is marked to."
    )


def table(
    paths: Sequence[Path],
    *,
    drawings: str,
    opened: Callable[[], Marker],
    processes: int,
    report: Callable[[str], None] = lambda line: None,
) -> Table:
    """All attacks on all photographs; what drawings have room for is said beside it."""
    rng = np.random.default_rng(0)
    tasks = [Task(path, int(rng.integers(1, 2**NUMBER_BITS))) for path in paths]
    uploads = []
    for task, upload in zip(
        tasks, spread(measure, tasks, opened=opened, processes=processes), strict=True
    ):
        uploads.append(upload)
        report(f"{task.path.name}: {task.number}: {upload}")
    numbered = [upload for upload in uploads if upload.number is not None]
    plain = [upload for upload in uploads if upload.number is None and upload.copies]
    near = [upload.psnr for upload in uploads if upload.copies]
    notes = (
        f"{len(uploads)} photographs of split calib, {LEAST} to {MOST} px a side: {len(numbered)} "
        f"carry a number of {NUMBER_BITS} bits, {len(plain)} a mark without room for one, "
        f"{len(uploads) - len(numbered) - len(plain)} no mark; at least {min(near):.1f} dB.",
        "Every copy is searched in full; shares are of those with a number. cut-0.75 is a crop, "
        "crop-0.75 the same resized to the old size.",
        drawings,
    )
    header = ("copy", "mark found", "number right", "not given", "wrong", "carrying units")
    return Table("payload", header, tuple(rows(uploads)), notes)


def rows(uploads: Sequence[Upload]) -> Iterator[tuple[str, ...]]:
    """A row an attack: shares of the uploads with a number; wrong is counted in all."""
    numbered = [upload for upload in uploads if upload.number is not None]
    for at, attack in enumerate(ATTACKS):
        copies = [(upload.number, upload.copies[at]) for upload in numbered]
        right = sum(copy.number == number for number, copy in copies)
        missing = sum(copy.number is None for _, copy in copies)
        every = [(upload.number, upload.copies[at]) for upload in uploads if upload.copies]
        wrong = sum(copy.number not in (None, number) for number, copy in every)
        yield (
            attack,
            f"{sum(copy.found for _, copy in copies)} of {len(copies)}",
            f"{right}",
            f"{missing}",
            f"{wrong}",
            f"{np.median([copy.units for _, copy in copies]):.0f}" if copies else "",
        )

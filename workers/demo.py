"""`make demo`: draw, mark, sign, attack and verify, here, in one table and one picture.

Six prompts are drawn, marked, signed and recorded; each picture is verified as it is and after what
pictures meet on their way, and the first one's proof is checked where there is no database. A real
photograph and a drawing without a mark are verified too, and must not match.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_sample_image

from generators.catalog import Generator, load_generator
from generators.sampling import Drawn, Request, Unerased, Unmarked, draw
from provenance.image import Pixels, encode_png
from provenance.ledger.note import format_vkey
from provenance.robustness.attacks import attacked, find
from provenance.verdict.table import Outcome as Verdict
from provenance.watermark.detect import Finding, Outcome
from provenance.watermark.search import FULL
from workers.erasing import Erased
from workers.examine import Library, open_library
from workers.folder import TENANT, DataFolder, load_claim_signer, load_trust, make, open_folder
from workers.generate import How, Marked, generate, unerased
from workers.marking import Kind, Marker, Markers, load_markers
from workers.seal import Sealed, seal
from workers.verify import Judged, judge

FOLDER = Path("demo")
PROMPTS = (
    ("a red apple, on a blue background", Kind.LEXICAL),
    ("a fox, on a teal to purple gradient", Kind.LEXICAL),
    ("a rocket, on purple and pink clouds", Kind.SWAP),
    ("a sunflower, on a green background", Kind.SWAP),
    ("a sailboat, on teal and blue clouds", Kind.BOTH),
    ("a cupcake, on an orange background", Kind.BOTH),
)
ATTACKS = (
    "none",
    "jpeg-50",
    "resize-0.5",
    "crop-0.75",
    "noise-0.05",
    "blur-sigma-1",
    "screenshot",
)
CELL = 128  # px


def eight_bit(pixels: Pixels) -> Image.Image:
    """A picture to paste on the sheet."""
    return Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8))


def photograph() -> Pixels:
    """A real photograph that comes with scikit-learn (china.jpg, CC BY)."""
    rgb = load_sample_image("china.jpg")[100:356, 200:456]
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / np.float32(255)


def floats(drawn: Drawn) -> Pixels:
    """A drawing's pixels in [0, 1]."""
    return np.ascontiguousarray(drawn.pixels.transpose(2, 0, 1), np.float32) / np.float32(255)


def look(data: bytes, markers: Markers, folder: DataFolder, library: Library) -> Judged:
    """What verifying a file tells."""
    keys = folder.keyring.marks().keys
    return judge(data, name="demo", marks=markers, keys=keys, plan=FULL, library=library)


def shown(finding: Finding) -> str:
    """A cell of the table."""
    match finding.outcome:
        case Outcome.DETECTED:
            return f"[green]{finding.corrected:.0e}[/green]"
        case Outcome.NOT_DETECTED:
            return f"[yellow]no ({finding.corrected:.0e})[/yellow]"
        case Outcome.INCONCLUSIVE:
            return "[cyan]inconclusive[/cyan]"


def brief(verdict: Verdict) -> str:
    """A verdict's first word or two."""
    return verdict.split(",")[0]


class Sheet:
    """The contact sheet: a row a picture, a column an attack."""

    def __init__(self, rows: int) -> None:
        self._page = Image.new("RGB", (len(ATTACKS) * (CELL + 8) + 8, rows * (CELL + 34)), "white")
        self._pen = ImageDraw.Draw(self._page)

    def put(self, row: int, column: int, pixels: Pixels, finding: Finding, title: str) -> None:
        x, y = column * (CELL + 8) + 8, row * (CELL + 34) + 16
        picture = eight_bit(pixels)
        picture.thumbnail((CELL, CELL))
        self._page.paste(picture, (x, y))
        self._pen.text((x, y - 14), title, fill="black")
        found = finding.outcome is Outcome.DETECTED
        text = f"p {finding.corrected:.0e}" if found else finding.outcome.value
        self._pen.text((x, y + CELL + 2), text, fill="darkgreen" if found else "firebrick")

    def save(self, path: Path) -> None:
        self._page.save(path)


def drawings(
    generator: Generator, marker: Marker, folder: DataFolder, console: Console
) -> list[Sealed[Marked]]:
    """The prompts drawn, marked, signed and recorded; files and proofs are written."""
    key = folder.keyring.marks().active(TENANT)
    now = datetime.now(UTC)
    signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
    out = []
    for row, (prompt, mark) in enumerate(track(PROMPTS, "drawing", console=console)):
        how = How(mark, key, unerased, labels=folder.labels)
        marked = generate(generator, marker, [Request(prompt, row)], how)
        out += seal(folder, signer, marked, trust=trust, marker=marker, key=key, erased=Erased())
        (FOLDER / f"{row + 1}.png").write_bytes(out[-1].file)
        (FOLDER / f"{row + 1}.tlog-proof").write_bytes(out[-1].proof)
    return out


def marked_rows(
    pictures: Sequence[Sealed[Marked]],
    see: Callable[[bytes], Judged],
    sheet: Sheet,
    console: Console,
) -> Iterator[tuple[list[str], bool]]:
    """A table row a prompt, and whether the picture as it left is what the log says."""
    for row, sealed in enumerate(track(pictures, "attacking and verifying", console=console)):
        pixels, cells, intact = floats(sealed.marked.drawn), [], False
        for column, name in enumerate(ATTACKS):
            hurt = attacked(pixels, find(name), seed=row)
            judged = see(encode_png(hurt) if column else sealed.file)
            verdict = judged.verdict.outcome
            cells.append(f"{shown(judged.verified.mark)} {brief(verdict)}")
            title = name if column else sealed.marked.drawn.request.prompt[:22]
            sheet.put(row, column, hurt, judged.verified.mark, title)
            if not column:
                intact = verdict is Verdict.INTACT
        thing = sealed.marked.drawn.request.prompt.split(",")[0]
        yield [thing, sealed.marked.mark.value, *cells], intact


def unmarked_rows(
    generator: Generator, see: Callable[[bytes], Judged], sheet: Sheet
) -> Iterator[tuple[list[str], bool]]:
    """A table row for a drawing without a mark and one for a photograph; neither may match."""
    wish = [Request(PROMPTS[0][0], 99)]
    bare = draw(
        generator.model, generator.codec, wish, erasures=[Unerased()], watermarks=[Unmarked()]
    )[0]
    pictures = (("unmarked drawing", floats(bare)), ("real photograph", photograph()))
    for column, (title, pixels) in enumerate(pictures):
        judged = see(encode_png(pixels))
        finding = judged.verified.mark
        sheet.put(len(PROMPTS), column, pixels, finding, title)
        cell = f"{shown(finding)} {brief(judged.verdict.outcome)}"
        yield [title, "none", cell], finding.outcome is not Outcome.DETECTED


def check_proof(folder: DataFolder, console: Console) -> bool:
    """The first picture's proof, checked by a process that has neither database nor keys."""
    vkey = format_vkey(folder.keyring.log_verifiers()[0])
    asked = ["proof", "check", str(FOLDER / "1.tlog-proof"), "--key", vkey]
    nowhere = dict(os.environ) | {"COUNTERMARK_DATA": os.devnull}
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "workers.command", *asked], env=nowhere, check=False
    )
    console.print(f"countermark {' '.join(asked[:3])} --key ...: status {run.returncode}")
    return run.returncode == 0


def main() -> int:
    """Run the demo; status 1 if what left is not found, or what bears no mark is."""
    started = time.monotonic()
    console = Console()
    FOLDER.mkdir(exist_ok=True)
    data = FOLDER / "data"
    if not data.exists():
        make(data, now=datetime.now(UTC))
    generator = load_generator("icons-128")
    marker = Marker(generator.name, generator.spec, generator.codec)
    table = Table("picture", "mark", *("as it left" if a == "none" else a for a in ATTACKS))
    sheet = Sheet(len(PROMPTS) + 1)
    with open_folder(data) as folder:
        pictures = drawings(generator, marker, folder, console)
        with open_library(folder) as library:
            see = partial(look, markers=load_markers(), folder=folder, library=library)
            rows = list(marked_rows(pictures, see, sheet, console))
            rows += unmarked_rows(generator, see, sheet)
        proven = check_proof(folder, console)
    for cells, _ in rows:
        table.add_row(*cells)
    sheet.save(FOLDER / "sheet.png")
    console.print(table)
    console.print(
        f"Numbers are exact false-match probabilities, corrected for all trials, with the verdict "
        f"under them. Pictures, proofs and the contact sheet are in {FOLDER}/ "
        f"({time.monotonic() - started:.0f} s)."
    )
    return 0 if proven and all(right for _, right in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

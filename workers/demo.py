"""`make demo`: draw, mark, attack and verify, on this machine, in one table and one picture.

Six prompts are drawn and marked; each picture is verified as it is and after what pictures meet on
their way. A real photograph and a drawing without a mark are verified too, and must not match.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_sample_image

from generators.catalog import Generator, load_generator
from generators.sampling import Drawn, Request, Unmarked, draw
from provenance.image import Pixels, encode_png
from provenance.robustness.attacks import attacked, find
from provenance.watermark.detect import Finding, Outcome
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.search import FULL
from workers.folder import TENANT, load_keys, make
from workers.generate import generate
from workers.marking import Kind, Marker
from workers.verify import verify

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


def look(pixels: Pixels, marker: Marker, keys: Sequence[Key]) -> Finding:
    """The finding about a picture, through a file."""
    return verify(encode_png(pixels), name="demo", marker=marker, keys=keys, plan=FULL).mark


def shown(finding: Finding) -> str:
    """A cell of the table."""
    match finding.outcome:
        case Outcome.DETECTED:
            return f"[green]{finding.corrected:.0e}[/green]"
        case Outcome.NOT_DETECTED:
            return f"[yellow]no ({finding.corrected:.0e})[/yellow]"
        case Outcome.INCONCLUSIVE:
            return "[cyan]inconclusive[/cyan]"


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


def marked_rows(
    generator: Generator, marker: Marker, keys: Sequence[Key], sheet: Sheet, console: Console
) -> Iterator[tuple[list[str], bool]]:
    """A table row a prompt, and whether the picture as it left is found."""
    key = next(k for k in keys if k.tenant == TENANT and k.state is KeyState.ACTIVE)
    for row, (prompt, mark) in enumerate(track(PROMPTS, "drawing and attacking", console=console)):
        marked = generate(generator, marker, [Request(prompt, row)], mark=mark, key=key)[0]
        (FOLDER / f"{row + 1}.png").write_bytes(marked.png)
        findings = []
        for column, name in enumerate(ATTACKS):
            hurt = attacked(floats(marked.drawn), find(name), seed=row)
            findings.append(look(hurt, marker, keys))
            sheet.put(row, column, hurt, findings[-1], name if column else prompt[:22])
        cells = [shown(finding) for finding in findings]
        yield [prompt, mark.value, *cells], findings[0].outcome is Outcome.DETECTED


def unmarked_rows(
    generator: Generator, marker: Marker, keys: Sequence[Key], sheet: Sheet
) -> Iterator[tuple[list[str], bool]]:
    """A table row for a drawing without a mark and one for a photograph; neither may match."""
    wish = [Request(PROMPTS[0][0], 99)]
    bare = draw(generator.model, generator.codec, wish, watermarks=[Unmarked()])[0]
    pictures = (("unmarked drawing", floats(bare)), ("real photograph", photograph()))
    for column, (title, pixels) in enumerate(pictures):
        finding = look(pixels, marker, keys)
        sheet.put(len(PROMPTS), column, pixels, finding, title)
        yield [title, "none", shown(finding)], finding.outcome is not Outcome.DETECTED


def main() -> int:
    """Run the demo; status 1 if what left is not found, or what bears no mark is."""
    started = time.monotonic()
    console = Console()
    FOLDER.mkdir(exist_ok=True)
    data = FOLDER / "data"
    if not data.exists():
        make(data, now=datetime.now(UTC))
    keys = load_keys(data).keys
    generator = load_generator("icons-128")
    marker = Marker(generator.name, generator.spec, generator.codec)
    table = Table("picture", "mark", *("as it left" if a == "none" else a for a in ATTACKS))
    sheet = Sheet(len(PROMPTS) + 1)
    rows = list(marked_rows(generator, marker, keys, sheet, console))
    rows += unmarked_rows(generator, marker, keys, sheet)
    for cells, _ in rows:
        table.add_row(*cells)
    sheet.save(FOLDER / "sheet.png")
    console.print(table)
    console.print(
        f"Numbers are exact false-match probabilities, corrected for all trials. Pictures and the "
        f"contact sheet are in {FOLDER}/ ({time.monotonic() - started:.0f} s)."
    )
    return 0 if all(right for _, right in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The `countermark` command: init, generate, verify.

Exit status of verify: 0 when every file carries a mark, 1 when one does not, 2 when one cannot be
read. Every error is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from generators.catalog import GENERATORS, BadWeights, UnknownGenerator, load_generator
from generators.sampling import BadRequest, Request
from provenance.errors import ProvenanceError, Unreadable
from provenance.image import read_file
from provenance.watermark.detect import Outcome
from provenance.watermark.errors import MarkError
from provenance.watermark.search import FULL, QUICK, STANDARD
from workers.folder import TENANT, NoFolder, data_folder, load_keys, make
from workers.generate import Marked, WeakMark, generate
from workers.marking import Kind, Marker, load_marker
from workers.verify import Verified, verify

KNOWN = (
    BadRequest,
    BadWeights,
    MarkError,
    NoFolder,
    OSError,
    ProvenanceError,
    UnknownGenerator,
    WeakMark,
)
MOST = 64  # pictures a call
LONGEST = 500  # characters of a prompt
PLANS = {plan.name: plan for plan in (QUICK, STANDARD, FULL)}


class Usage(ValueError):
    """An option that makes no sense; the text says which."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="countermark", description=__doc__.split("\n", 1)[0])
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="make the data folder with a secret mark key")
    draw = commands.add_parser("generate", help="draw marked pictures from a prompt")
    draw.add_argument("prompt", metavar="PROMPT")
    draw.add_argument("--out", type=Path, default=Path("countermark.png"), metavar="F.png")
    draw.add_argument("--seed", type=int, metavar="N", help="default: a random one, printed")
    draw.add_argument("--count", type=int, default=1, metavar="N")
    draw.add_argument("--mark", type=Kind, choices=list(Kind), default=Kind.LEXICAL)
    draw.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    look = commands.add_parser("verify", help="tell what can be proven about pictures")
    look.add_argument("files", type=Path, nargs="+", metavar="FILE")
    look.add_argument("--json", action="store_true", help="findings as JSON, one object a file")
    look.add_argument("--search", choices=list(PLANS), default="full", help="geometries tried")
    look.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        match options.command:
            case "init":
                return init(console)
            case "generate":
                return generate_command(options, console)
            case _:
                return verify_command(options, console)
    except (*KNOWN, Usage) as e:
        console.print(f"countermark: {e}", markup=False, highlight=False, soft_wrap=True)
        return 2


def init(console: Console) -> int:
    """Make the data folder."""
    folder = data_folder(os.environ)
    key = make(folder, now=datetime.now(UTC)).active(TENANT)
    console.print(f"made {folder} with mark key {key.key_id}; keep the folder secret, back it up")
    return 0


def outputs(out: Path, count: int) -> list[Path]:
    """The files to write: F.png, or F-1.png, F-2.png ... when there are several."""
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, count + 1)]


def generate_command(options: argparse.Namespace, console: Console) -> int:
    """Draw, mark, read back, write."""
    if not 1 <= options.count <= MOST:
        raise Usage(f"--count must be between 1 and {MOST}, not {options.count}")
    if not options.prompt.strip() or len(options.prompt) > LONGEST:
        raise Usage(f"PROMPT must have 1 to {LONGEST} characters, not {len(options.prompt)}")
    if options.out.suffix.lower() != ".png":
        raise Usage(f"--out must end in .png, not {options.out.name!r}")
    files = outputs(options.out, options.count)
    if not options.out.parent.is_dir():
        raise Usage(f"--out: there is no folder {options.out.parent}")
    key = load_keys(data_folder(os.environ)).active(TENANT)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    requests = [Request(options.prompt, seed + n) for n in range(options.count)]
    generator = load_generator(options.model)
    marker = Marker(generator.name, generator.spec, generator.codec)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console
    )
    with bar:
        task = bar.add_task("drawing")
        pictures = generate(
            generator,
            marker,
            requests,
            mark=options.mark,
            key=key,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for file, picture in zip(files, pictures, strict=True):
        write(file, picture.png)
        Console().print(describe(file, picture), markup=False, highlight=False, soft_wrap=True)
    return 0


def write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def describe(file: Path, picture: Marked) -> str:
    """One line about a picture made."""
    finding = picture.finding
    strength = "" if picture.mark is Kind.SWAP else f" of {picture.strength:g} nats"
    return (
        f"{file}  seed {picture.drawn.request.seed}  {picture.mark} mark{strength}, read back "
        f"from the file: false-match probability {finding.corrected:.1e}"
    )


def verify_command(options: argparse.Namespace, console: Console) -> int:
    """Look at every file; one table, or JSON lines."""
    keys = load_keys(data_folder(os.environ)).keys
    marker, plan = load_marker(options.model), PLANS[options.search]
    status, results = 0, []
    for file in options.files:
        try:
            data = read_file(file)
            found = verify(data, name=str(file), marker=marker, keys=keys, plan=plan)
        except Unreadable as e:
            console.print(f"countermark: {e}", markup=False, highlight=False, soft_wrap=True)
            status = 2
            if options.json:
                print(json.dumps({"file": str(file), "error": e.reason}))  # noqa: T201
            continue
        results.append(found)
        if found.mark.outcome is not Outcome.DETECTED:
            status = max(status, 1)
        if options.json:
            print(json.dumps(as_json(found, plan.name)))  # noqa: T201
    if results and not options.json:
        Console().print(table(results))
        seconds = sum(found.cost.seconds for found in results)
        Console().print(f"{plan.name} search, {seconds:.1f} s", highlight=False)
    return status


def as_json(found: Verified, plan: str) -> dict[str, Any]:
    """One file's findings with plain values."""
    mark = found.mark
    match = mark.match
    return {
        "file": found.name,
        "width": found.width,
        "height": found.height,
        "mark": {
            "outcome": mark.outcome.value,
            "reason": mark.reason.value if mark.reason else None,
            "test": mark.test.value,
            "p": mark.p,
            "p_corrected": mark.corrected,
            "trials": mark.family.size,
            "family": str(mark.family),
            "threshold": mark.threshold,
            "units": mark.units,
            "scheme": match.scheme if match else None,
            "model": match.model if match else None,
            "key": match.key_id if match else None,
            "key_state": match.key_state.value if match else None,
            "list": match.list_index if match else None,
            "geometry": match.geometry if match else None,
            "caveat": mark.caveat,
            "search": {
                "plan": plan,
                "views": found.cost.views,
                "windows_scanned": found.cost.scanned,
                "seconds": round(found.cost.seconds, 3),
            },
        },
    }


def table(results: Sequence[Verified]) -> Table:
    """All findings in one table."""
    out = Table("file", "looked for", "found", "false-match probability", "what it does not mean")
    for found in results:
        mark = found.mark
        outcome = mark.outcome.value
        if mark.match:
            outcome += f" ({mark.match.scheme}, key {mark.match.key_id}, {mark.match.key_state})"
        if mark.reason:
            outcome += f": {mark.reason.value}"
        number = f"{mark.corrected:.1e} for {mark.family.size} trials"
        out.add_row(plain(found.name), "our mark", outcome, number, mark.caveat)
    return out


def plain(text: str) -> str:
    """A file's name without terminal commands or markup."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("[", "\\[")


if __name__ == "__main__":
    sys.exit(main())

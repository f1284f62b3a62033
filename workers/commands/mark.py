"""`countermark mark`: mark a picture that exists already, and verify the file written."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from generators.catalog import GENERATORS
from provenance.files import write_file
from provenance.image import read_file
from provenance.watermark.keys import Key
from workers.commands import Usage
from workers.folder import TENANT, data_folder, load_keys
from workers.mark import MarkedUpload, mark
from workers.marking import load_marker
from workers.perceptual import installed


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("mark", help="mark a picture that exists already")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--out", type=Path, required=True, metavar="F.png")
    command.add_argument("--key", metavar="ID", help="default: the active key")
    command.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Read, mark, verify, write."""
    file, out = options.file, options.out
    if out.suffix.lower() != ".png":
        raise Usage(f"--out must end in .png, not {out.name!r}")
    if not out.parent.is_dir():
        raise Usage(f"--out: there is no folder {out.parent}")
    data = read_file(file)
    if out.exists() and out.samefile(file):
        raise Usage(f"--out {out} would replace the original")
    known = load_keys(data_folder(os.environ))
    key = find(known.keys, options.key) if options.key else known.active(TENANT)
    with console.status("marking"):
        made = mark(
            data,
            name=str(file),
            marker=load_marker(options.model),
            key=key,
            keys=known.keys,
            distance=installed(),
        )
    write_file(out, made.png)
    Console().print(describe(out, made), markup=False, highlight=False, soft_wrap=True)
    return 0


def find(keys: Sequence[Key], key_id: str) -> Key:
    """The key of an id."""
    for key in keys:
        if key.key_id == key_id:
            return key
    raise Usage(f"--key: no mark key has the id {key_id!r}")


def describe(file: Path, made: MarkedUpload) -> str:
    """One line about a picture marked."""
    marked, finding = made.marked, made.verified.mark
    assert finding.match is not None, "a mark that is not found is not given out"
    perceptual = (
        "not measured (pip install 'countermark[train]')"
        if made.perceptual is None
        else f"{made.perceptual:.4f} (EfficientNet-Lite0)"
    )
    return (
        f"{file}  {finding.match.scheme} mark of key {finding.match.key_id}, read back from the "
        f"file: false-match probability {finding.corrected:.1e}; against the original PSNR "
        f"{marked.psnr:.1f} dB, SSIM {marked.ssim:.3f}, perceptual distance {perceptual}"
    )

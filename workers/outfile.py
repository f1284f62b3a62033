"""The file that a command is to write: its format is told by its name, its quality by an option.

Apart from workers.commands, since this needs numpy and Pillow, and checking a proof must not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from provenance.formats import BEST, Encoding, Format
from workers.commands import Usage

SUFFIXES = {
    ".png": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".webp": Format.WEBP,
}


def add_quality(command: argparse.ArgumentParser) -> None:
    """Add --quality, which `encoding` reads."""
    say = "of a JPEG or WebP file, 1 to 100; default: 100"
    command.add_argument("--quality", type=int, metavar="N", help=say)


def encoding(out: Path, quality: int | None) -> Encoding:
    """How a file of this name is written, and that it can be; raises Usage."""
    kind = SUFFIXES.get(out.suffix.lower())
    if kind is None:
        raise Usage(f"--out must end in {', '.join(SUFFIXES)}, not {out.name!r}")
    if not out.parent.is_dir():
        raise Usage(f"--out: there is no folder {out.parent}")
    if quality is None:
        return Encoding(kind)
    if kind is Format.PNG:
        raise Usage("--quality is for JPEG and WebP files: a PNG loses nothing")
    if not 1 <= quality <= BEST:
        raise Usage(f"--quality must be between 1 and {BEST}, not {quality}")
    return Encoding(kind, quality)

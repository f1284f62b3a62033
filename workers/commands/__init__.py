"""The subcommands of `countermark`, one a module.

Each module has `register(commands)`, which adds its parser and sets `run` to a function of the
parsed options and a console on standard error that gives the exit status.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from provenance.formats import BEST, Encoding, Format

SUFFIXES = {
    ".png": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".webp": Format.WEBP,
}


class Usage(ValueError):
    """An option that makes no sense; the text says which."""


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


def moment(text: str) -> datetime:
    """A time with its zone, e.g. 2026-11-22T10:56:18Z."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            raise argparse.ArgumentTypeError(f"{text!r} has no time zone: add Z for UTC")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-11-22T10:56Z") from e

"""The subcommands of `countermark`, one a module.

Each module has `register(commands)`, which adds its parser and sets `run` to a function of the
parsed options and a console on standard error that gives the exit status.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path


class Usage(ValueError):
    """An option that makes no sense; the text says which."""


def moment(text: str) -> datetime:
    """A time with its zone, e.g. 2026-11-22T10:56:18Z."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            raise argparse.ArgumentTypeError(f"{text!r} has no time zone: add Z for UTC")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-11-22T10:56Z") from e


def member_options(parser: argparse.ArgumentParser) -> None:
    """Options that name a member other than the embedded one."""
    parser.add_argument(
        "--member",
        metavar="KIND:FILE",
        help="dda:checkpoint.pth, or embedded:weights.safetensors; else the one that comes with us",
    )
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="of that member")

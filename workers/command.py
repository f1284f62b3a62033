"""The `countermark` command.

Exit status of verify: 0 when every file carries a mark, 1 when one does not, 2 when one cannot be
read. Every error is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from generators.catalog import BadWeights, UnknownGenerator
from generators.sampling import BadRequest
from provenance.errors import ProvenanceError
from provenance.watermark.errors import MarkError
from workers.commands import Usage, generate, init, verify
from workers.folder import NoFolder
from workers.generate import WeakMark

COMMANDS = (init, generate, verify)
KNOWN = (
    BadRequest,
    BadWeights,
    MarkError,
    NoFolder,
    OSError,
    ProvenanceError,
    UnknownGenerator,
    Usage,
    WeakMark,
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="countermark", description=__doc__.split("\n", 1)[0])
    commands = top.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        module.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        status: int = options.run(options, console)
    except KNOWN as e:
        console.print(f"countermark: {e}", markup=False, highlight=False, soft_wrap=True)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())

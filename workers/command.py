"""The `countermark` command.

Exit status of verify: 0 when every file carries a mark, 1 when one does not, 2 when one cannot be
read. Every error is one line on standard error and exit status 2. Only the command that is used is
imported, so that a proof is checked without a model, a database or a data folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from rich.console import Console

from provenance.errors import ProvenanceError
from provenance.ledger.encoding import printable
from workers.commands import Usage

# Each is the module of workers.commands of that name.
COMMANDS = (
    "init",
    "policy",
    "concepts",
    "erase",
    "production",
    "generate",
    "models",
    "mark",
    "verify",
    "classifier",
    "bench",
    "proof",
    "verdict",
    "record",
    "log",
    "evidence",
    "keys",
    "drill",
    "tenants",
    "serve",
)
KNOWN = (  # errors whose text is for the user, by name: a module never imported raised none
    "generators.catalog.BadWeights",
    "generators.checkers.interface.CannotCheck",
    "generators.erasing.delta.BadDelta",
    "generators.erasing.distil.CannotErase",
    "generators.catalog.UnknownGenerator",
    "generators.checkpoints.files.BadCheckpoint",
    "generators.interface.CannotAsk",
    "generators.interface.Unsupported",
    "generators.products.CannotHalve",
    "generators.sampling.BadRequest",
    "provenance.watermark.errors.MarkError",
    "workers.folder.NoFolder",
    "workers.generate.WeakMark",
)


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line of these commands."""
    top = argparse.ArgumentParser(prog="countermark", description=__doc__.split("\n", 1)[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name in names:
        import_module(f"workers.commands.{name}").register(commands)
    return top


def known() -> tuple[type[Exception], ...]:
    """The errors that become one line, as far as they can have been raised."""
    named = (name.rpartition(".") for name in KNOWN)
    loaded = [getattr(sys.modules[m], error) for m, _, error in named if m in sys.modules]
    return (OSError, ProvenanceError, Usage, *loaded)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    used = given[:1] if given[:1] and given[0] in COMMANDS else COMMANDS
    options = parser(used).parse_args(given)
    console = Console(stderr=True)
    try:
        status: int = options.run(options, console)
    except known() as e:
        console.print(
            f"countermark: {printable(str(e))}", markup=False, highlight=False, soft_wrap=True
        )
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())

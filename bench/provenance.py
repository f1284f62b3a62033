"""Measure log, manifest and fingerprint search, and put the tables into their pages.

    python -m bench.provenance --postgres URL [--only ledger] [--sizes 1e3 1e4 1e5 1e6 1e7]

prints each table as it is measured and, when all of its rows are there, replaces what stands
between its markers, such as `<!-- ledger -->`; a run that is stopped leaves the page as it was.
Needs an idle machine: times are by the clock.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from bench import fingerprint, ledger, manifest
from bench.marks.page import insert

PAGES = {"ledger": "ledger.md", "fingerprint": "ledger.md", "manifest": "manifest.md"}
GROWTH = ("1e3", "1e4", "1e5", "1e6", "1e7")
MOST_HASHES = 1e6  # as many as the bar asks of the search, all in memory


class Twice(StringIO):
    """Keeps what is printed, and prints it."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]  # a bench is run from a terminal
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return super().write(text)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PAGES), default=list(PAGES))
    parser.add_argument("--sizes", nargs="+", default=GROWTH, metavar="N", help="entries")
    parser.add_argument("--rounds", default="200", metavar="N", help="of each small step")
    parser.add_argument("--postgres", metavar="URL", help="of the log, beside SQLite")
    parser.add_argument("--docs", type=Path, default=Path("docs"), metavar="FOLDER")
    given = parser.parse_args(arguments)
    hashes = [size for size in given.sizes if 1e4 <= float(size) <= MOST_HASHES]
    server = [] if given.postgres is None else ["--postgres", given.postgres]
    runs: dict[str, Callable[[], None]] = {
        "ledger": lambda: ledger.main(["--sizes", *given.sizes, *server]),
        "fingerprint": lambda: fingerprint.main(
            ["--sizes", *(hashes or given.sizes), "--queries", given.rounds]
        ),
        "manifest": lambda: manifest.main(["--rounds", given.rounds]),
    }
    for name in given.only:
        measure(runs[name], given.docs / PAGES[name], name)


def measure(run: Callable[[], None], page: Path, name: str) -> None:
    """Run it, then put what it printed between the markers of this name."""
    insert(page.read_text(encoding="utf-8"), name, "")  # fails before an hour is spent
    with redirect_stdout(Twice()) as printed:
        run()
    text = insert(page.read_text(encoding="utf-8"), name, printed.getvalue().strip())
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

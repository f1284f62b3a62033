"""Tables as Markdown: printed, and put between the comment markers of a page.

A page keeps its text; only what stands between `<!-- size -->` and `<!-- /size -->` is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Table:
    """One measured table: the name of its markers, and what was measured on how many."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.name}: {row} does not fit {self.header}")


class NoMarkers(ValueError):
    """The page has no place, or more than one, for this table."""


def format_table(table: Table, *, day: date, machine: str) -> str:
    """Markdown that begins with when, where and on what it was measured."""
    said = " ".join((f"Measured {day:%Y-%m-%d} on {machine}.", *table.notes))
    rule = tuple("---" for _ in table.header)
    rows = ["| " + " | ".join(row) + " |" for row in (table.header, rule, *table.rows)]
    return "\n".join([said, "", *rows])


def insert(page: str, name: str, text: str) -> str:
    """The page with the text between the markers of this name; raises NoMarkers."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(end) < page.index(start):
        raise NoMarkers(f"the page needs {start} and then {end}, once each")
    before, rest = page.split(start)
    return f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}"


def interval(low: float, high: float) -> str:
    """An interval of shares."""
    return f"{low:.3f} to {high:.3f}"

"""The tables of docs/erasure.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from statistics import harmonic_mean, mean

from bench.erasure.cases import ATTACKS
from bench.erasure.measure import Each, Figures, Tally
from bench.erasure.methods import Method
from bench.icons import machine
from bench.marks.page import insert


def cell(tally: Tally) -> str:
    """The share, its interval, and of how many."""
    if not tally.of:
        return "none"
    low, high = tally.interval()
    return f"{tally.share:.3f} ({low:.2f} to {high:.2f}; {tally.of})"


def summary(total: dict[Method, Figures]) -> str:
    """A column a method."""
    methods = list(total)
    rows = [
        "| | " + " | ".join(method.value for method in methods) + " |",
        "|---|" + "---|" * len(methods),
    ]
    for kind in ATTACKS:
        cells = [cell(total[method].attacks[kind]) for method in methods]
        rows.append(f"| attack success, {kind.value} | " + " | ".join(cells) + " |")
    for name, of in (("adjacent", "adjacent"), ("far", "far")):
        cells = [cell(getattr(total[method], of)) for method in methods]
        rows.append(f"| {name} concepts kept | " + " | ".join(cells) + " |")
    drops = [f"{-100 * mean(total[m].quality):.1f} %" if total[m].quality else "" for m in methods]
    rows.append("| quality drop on far concepts | " + " | ".join(drops) + " |")
    parts = {method: total[method].components() for method in methods}
    means = [f"{harmonic_mean([max(p, 0) for p in parts[m]]):.3f}" for m in methods]
    rows.append("| harmonic mean of the components | " + " | ".join(means) + " |")
    rows.append(
        "| the least component | " + " | ".join(f"{min(parts[m]):.3f}" for m in methods) + " |"
    )
    return "\n".join(rows)


def by_subject(each: Each) -> str:
    """Attack success over all four kinds, and adjacent concepts kept, by subject."""
    methods = list(next(iter(each.values())))
    rows = [
        "| | " + " | ".join(method.value for method in methods) + " |",
        "|---|" + "---|" * len(methods),
    ]
    for name, figures in each.items():
        cells = []
        for method in methods:
            if method not in figures:
                cells.append("not measured")
                continue
            attacks = [figures[method].attacks[kind] for kind in ATTACKS]
            hit, of = sum(t.count for t in attacks), sum(t.of for t in attacks)
            kept = figures[method].adjacent
            cells.append(f"{hit} of {of}; {kept.count} of {kept.of}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def show(tables: dict[str, str], docs: Path | None) -> None:
    """Print the tables, and put them into the page, each with when and where it was measured."""
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}."
    tables = {name: f"{head}\n\n{table}" for name, table in tables.items()}
    for name, table in tables.items():
        print(f"\n{name}\n{table}", flush=True)
    if docs is not None:
        page = docs.read_text()
        for name, table in tables.items():
            page = insert(page, name, table)
        docs.write_text(page)

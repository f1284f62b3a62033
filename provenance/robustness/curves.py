"""Curves of what is found against the strength of an attack, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from provenance.robustness.attacks import strength
from provenance.robustness.harness import Rate, Table

WIDTH, HEIGHT = 320, 200  # user units of a plot; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 32, 8, 8, 24


def drawn_curves(tables: Sequence[Table]) -> str:
    """A figure for each family measured at two strengths or more; no figure, no text."""
    families: dict[str, list[tuple[float, int]]] = {}
    for number, row in enumerate(tables[0].rows):
        known = strength(row.attack)
        if known is not None:
            families.setdefault(known[0], []).append((known[1], number))
    figures = [
        _figure(family, sorted(points), tables)
        for family, points in families.items()
        if len(points) > 1
    ]
    if not figures:
        return ""
    dashes = (
        "Full line: the first threshold; dashed: the others. Bars are the 95 % intervals."
        if len(tables[0].thresholds) > 1
        else "Bars are the 95 % intervals."
    )
    return f'<h2>By strength</h2><p>{dashes}</p><div class="plots">{"".join(figures)}</div>'


def _figure(family: str, points: list[tuple[float, int]], tables: Sequence[Table]) -> str:
    lines = "".join(
        _line(points, table, threshold, f"m{number % 6}")
        for number, table in enumerate(tables)
        for threshold in range(len(table.thresholds))
    )
    says = f"Share found against the strength of {family}"
    return (
        f"<figure><figcaption>{escape(family)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(says)}">'
        f"{_axes(points)}{lines}</svg></figure>"
    )


def _axes(points: list[tuple[float, int]]) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    marks = "".join(
        f'<path class="axis" d="M{LEFT} {_y(share):.1f}H{right}"/>'
        f'<text x="{LEFT - 4}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:g}</text>'
        for share in (0.0, 0.5, 1.0)
    )
    low, high = points[0][0], points[-1][0]
    return (
        f'{marks}<text x="{LEFT}" y="{floor + 16}">{low:g}</text>'
        f'<text x="{right}" y="{floor + 16}" text-anchor="end">{high:g}</text>'
    )


def _line(points: list[tuple[float, int]], table: Table, threshold: int, colour: str) -> str:
    low, high = points[0][0], points[-1][0]
    spots = [
        (_x(value, low, high), table.rows[number].rates[threshold]) for value, number in points
    ]
    path = "L".join(f"{x:.1f} {_y(rate.share):.1f}" for x, rate in spots)
    dash = " second" if threshold else ""
    bars = "".join(_bar(x, rate) for x, rate in spots)
    title = escape(f"{table.method}, {table.thresholds[threshold].name}")
    return (
        f'<g class="{colour}"><title>{title}</title>'
        f'<path class="curve{dash}" d="M{path}"/>{bars}</g>'
    )


def _bar(x: float, rate: Rate) -> str:
    return f'<path class="range" d="M{x:.1f} {_y(rate.low):.1f}V{_y(rate.high):.1f}"/>'


def _x(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT) if high > low else LEFT


def _y(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

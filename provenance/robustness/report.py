"""What the bench measured, as JSON and as one HTML page that asks nothing of any server.

Both hold the same numbers. The page is readable on a telephone, follows the reader's light or
dark setting, and escapes every name: a method may be called anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from html import escape

from provenance.robustness.curves import drawn_curves
from provenance.robustness.harness import Rate, Row, Table

VERSION = "countermark-robustness/1"


@dataclass(frozen=True)
class Report:
    """Tables of one or more methods over the same attacks, in the same order."""

    title: str
    tables: tuple[Table, ...]
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.tables:
            raise ValueError("a report needs at least one table")
        shapes = {
            (tuple(row.attack for row in table.rows), len(table.thresholds))
            for table in self.tables
        }
        if len(shapes) != 1:
            raise ValueError("the tables of a report must hold the same attacks and thresholds")


def as_json(report: Report) -> str:
    """The report as JSON, version first."""
    body = {"version": VERSION, "title": report.title, "left_out": report.left_out}
    tables = [
        {**asdict(table), "mean": [table.mean(i) for i in range(len(table.thresholds))]}
        for table in report.tables
    ]
    return json.dumps({**body, "tables": tables}, indent=1, allow_nan=False)


def as_page(report: Report) -> str:
    """The report as one self-contained HTML page."""
    left_out = "".join(f"<li>{escape(name)}</li>" for name in report.left_out)
    parts = [
        f"<h1>{escape(report.title)}</h1>",
        *(_method(number, table) for number, table in enumerate(report.tables)),
        "<p>Share of the pictures in which the mark is found, with its 95 % interval "
        "(Clopper-Pearson). A threshold is one for all attacks.</p>",
        *(_table(report, i) for i in range(len(report.tables[0].thresholds))),
        drawn_curves(report.tables),
        f"<h2>Not run</h2><ul>{left_out}</ul>" if left_out else "",
    ]
    title = escape(report.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def _method(number: int, table: Table) -> str:
    thresholds = "; ".join(f"{escape(t.name)} (score {t.value:.2f})" for t in table.thresholds)
    return (
        f'<p><b class="m{number % 6}">{escape(table.method)}</b>: {table.pictures} pictures, '
        f"seed {table.seed}; {thresholds}</p>"
    )


def _table(report: Report, threshold: int) -> str:
    first = report.tables[0]
    names = dict.fromkeys(table.thresholds[threshold].name for table in report.tables)
    heads = "".join(f'<th scope="col">{escape(table.method)}</th>' for table in report.tables)
    rows = "".join(
        _row(tuple(table.rows[number] for table in report.tables), threshold)
        for number in range(len(first.rows))
    )
    means = "".join(f"<td>{table.mean(threshold):.3f}</td>" for table in report.tables)
    return (
        f"<h2>Found at {escape(', '.join(names))}</h2>"
        '<div class="wide"><table><thead><tr><th scope="col">attack</th>'
        f'{heads}<th scope="col">PSNR</th><th scope="col">SSIM</th></tr></thead>'
        f'<tbody>{rows}<tr><th scope="row">mean</th>{means}<td></td><td></td></tr>'
        "</tbody></table></div>"
    )


def _row(rows: tuple[Row, ...], threshold: int) -> str:
    cells = "".join(_cell(row.rates[threshold]) for row in rows)
    psnr = "" if rows[0].psnr is None else f"{rows[0].psnr:.1f}"
    ssim = "" if rows[0].ssim is None else f"{rows[0].ssim:.3f}"
    name = escape(rows[0].attack).replace("+", "+<wbr>")
    return f'<tr><th scope="row">{name}</th>{cells}<td>{psnr}</td><td>{ssim}</td></tr>'


def _cell(rate: Rate) -> str:
    return (
        f"<td>{rate.share:.3f}<small>{rate.low:.3f} to {rate.high:.3f}</small>"
        f'<i style="width:{100 * rate.share:.0f}%"></i></td>'
    )


STYLE = """
:root{color-scheme:light dark;--ink:#1c1b1a;--paper:#fbfaf8;--line:#d8d4cc;--faint:#6b665e;
--m0:#1f6f8b;--m1:#b5482a;--m2:#5b7f2b;--m3:#7a4fa3;--m4:#a8791a;--m5:#b03a74}
@media(prefers-color-scheme:dark){:root{--ink:#ece8e1;--paper:#171615;--line:#3b3833;
--faint:#a39c91;--m0:#6cc0dd;--m1:#f08a68;--m2:#a5cf6b;--m3:#c29be8;--m4:#e5b95a;--m5:#ee86b7}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}p,li,th{overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.875rem;width:100%}
th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child{text-align:left;min-width:7rem}thead th{color:var(--faint);font-weight:600}
td small{display:block;color:var(--faint);white-space:nowrap}
td i{display:block;height:3px;background:var(--m0)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto;display:block}
svg text{fill:var(--faint);font-size:11px}.axis{stroke:var(--line);fill:none}
.m0{color:var(--m0)}.m1{color:var(--m1)}.m2{color:var(--m2)}
.m3{color:var(--m3)}.m4{color:var(--m4)}.m5{color:var(--m5)}
svg .curve{stroke:currentColor;fill:none;stroke-width:2}svg .range{stroke:currentColor;opacity:.5}
svg .second{stroke-dasharray:5 4}
"""

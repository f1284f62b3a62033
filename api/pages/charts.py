"""Reports of the robustness bench as charts: how often a mark was still found after each attack.

`countermark bench robustness --out FOLDER` writes report.json; those in the data folder's `reports`
are shown. A file that is none is named and left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER, REPORT = "reports", "report.json"
VERSION = "countermark-robustness/1"
LARGEST = 4 * 2**20  # bytes of a report
LABEL, WIDE, ROW = 170, 460, 26  # px of a chart


@dataclass(frozen=True)
class Bar:
    """A rate with its interval, as lengths in px."""

    attack: str
    y: int
    length: float
    low: float
    high: float
    said: str


@dataclass(frozen=True)
class Chart:
    """One method at one threshold."""

    method: str
    threshold: str
    pictures: int
    bars: tuple[Bar, ...]
    width: int
    height: int


@dataclass(frozen=True)
class Report:
    """What one file says; `fault` says why it could not be read."""

    name: str
    title: str
    charts: tuple[Chart, ...]
    left_out: tuple[str, ...]
    fault: str | None = None


def read_reports(folder: Path) -> list[Report]:
    """Every report of a folder, by name."""
    found = sorted(folder.glob(f"*/{REPORT}")) if folder.is_dir() else []
    return [_read(file) for file in found]


def _read(file: Path) -> Report:
    name = file.parent.name
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("longer than any report")
        document = json.loads(file.read_bytes())
        if document["version"] != VERSION:
            raise ValueError(f"not of version {VERSION}")
        charts = [
            _chart(table, number)
            for table in document["tables"]
            for number in range(len(table["thresholds"]))
        ]
        left_out = tuple(str(one) for one in document["left_out"])
        return Report(name, str(document["title"]), tuple(charts), left_out)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as e:
        return Report(name, name, (), (), f"not a report of the bench: {e}")


def _chart(table: dict[str, Any], number: int) -> Chart:
    bars = tuple(
        _bar(row["attack"], row["rates"][number], 10 + ROW * place)
        for place, row in enumerate(table["rows"])
    )
    threshold = str(table["thresholds"][number]["name"])
    pictures, height = int(table["pictures"]), 10 + ROW * len(bars) + 24
    return Chart(str(table["method"]), threshold, pictures, bars, LABEL + WIDE + 110, height)


def _bar(attack: str, rate: dict[str, Any], y: int) -> Bar:
    found, of = int(rate["found"]), int(rate["of"])
    low, high = float(rate["low"]), float(rate["high"])
    said = f"{found} of {of}"
    return Bar(str(attack), y, WIDE * found / of, WIDE * low, WIDE * high, said)

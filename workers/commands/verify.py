"""`countermark verify`: one table of findings, or JSON lines."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from generators.catalog import GENERATORS
from provenance.errors import Unreadable
from provenance.image import read_file
from provenance.watermark.detect import Outcome
from provenance.watermark.search import FULL, QUICK, STANDARD
from workers.folder import data_folder, load_keys
from workers.marking import load_marker
from workers.verify import Verified, verify

PLANS = {plan.name: plan for plan in (QUICK, STANDARD, FULL)}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    look = commands.add_parser("verify", help="tell what can be proven about pictures")
    look.add_argument("files", type=Path, nargs="+", metavar="FILE")
    look.add_argument("--json", action="store_true", help="findings as JSON, one object a file")
    look.add_argument("--search", choices=list(PLANS), default="full", help="geometries tried")
    look.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    look.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Look at every file; one table, or JSON lines."""
    keys = load_keys(data_folder(os.environ)).keys
    marker, plan = load_marker(options.model), PLANS[options.search]
    status, results = 0, []
    for file in options.files:
        try:
            data = read_file(file)
            found = verify(data, name=str(file), marker=marker, keys=keys, plan=plan)
        except Unreadable as e:
            console.print(f"countermark: {e}", markup=False, highlight=False, soft_wrap=True)
            status = 2
            if options.json:
                print(json.dumps({"file": str(file), "error": e.reason}))  # noqa: T201
            continue
        results.append(found)
        if found.mark.outcome is not Outcome.DETECTED:
            status = max(status, 1)
        if options.json:
            print(json.dumps(as_json(found, plan.name)))  # noqa: T201
    if results and not options.json:
        Console().print(table(results))
        seconds = sum(found.cost.seconds for found in results)
        Console().print(f"{plan.name} search, {seconds:.1f} s", highlight=False)
    return status


def as_json(found: Verified, plan: str) -> dict[str, Any]:
    """One file's findings with plain values."""
    mark = found.mark
    match = mark.match
    return {
        "file": found.name,
        "width": found.width,
        "height": found.height,
        "mark": {
            "outcome": mark.outcome.value,
            "reason": mark.reason.value if mark.reason else None,
            "test": mark.test.value,
            "p": mark.p,
            "p_corrected": mark.corrected,
            "trials": mark.family.size,
            "family": str(mark.family),
            "threshold": mark.threshold,
            "units": mark.units,
            "scheme": match.scheme if match else None,
            "model": match.model if match else None,
            "key": match.key_id if match else None,
            "key_state": match.key_state.value if match else None,
            "list": match.list_index if match else None,
            "geometry": match.geometry if match else None,
            "caveat": mark.caveat,
            "search": {
                "plan": plan,
                "views": found.cost.views,
                "windows_scanned": found.cost.scanned,
                "seconds": round(found.cost.seconds, 3),
            },
        },
    }


def table(results: Sequence[Verified]) -> Table:
    """All findings in one table."""
    out = Table("file", "looked for", "found", "false-match probability", "what it does not mean")
    for found in results:
        mark = found.mark
        outcome = mark.outcome.value
        if mark.match:
            outcome += f" ({mark.match.scheme}, key {mark.match.key_id}, {mark.match.key_state})"
        if mark.reason:
            outcome += f": {mark.reason.value}"
        number = f"{mark.corrected:.1e} for {mark.family.size} trials"
        out.add_row(plain(found.name), "our mark", outcome, number, mark.caveat)
    return out


def plain(text: str) -> str:
    """A file's name without terminal commands or markup."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("[", "\\[")

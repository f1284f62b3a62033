"""`countermark verify`: a verdict a file and the findings under it, in one table or JSON lines."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from provenance.errors import Unreadable
from provenance.files import write_file
from provenance.image import read_file
from provenance.verdict.finding import Finding, MarkState, RecordState
from provenance.verdict.page import MEANING
from provenance.verdict.table import Verdict
from provenance.watermark.search import FULL, QUICK, STANDARD
from workers.attest import attest
from workers.brought import install_models
from workers.classifying import answer_json, load_classifier
from workers.commands import Usage, member_options
from workers.examine import open_library
from workers.folder import DataFolder, data_folder, open_folder
from workers.marking import Markers, load_marker, load_markers
from workers.softbinding import shown
from workers.verify import Judged, Verified, judge

PLANS = {plan.name: plan for plan in (QUICK, STANDARD, FULL)}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    look = commands.add_parser("verify", help="tell what can be proven about pictures")
    look.add_argument("files", type=Path, nargs="+", metavar="FILE")
    look.add_argument("--json", action="store_true", help="findings as JSON, one object a file")
    look.add_argument("--search", choices=list(PLANS), default="full", help="geometries tried")
    look.add_argument(
        "--sign",
        type=Path,
        metavar="F.verdict",
        help="of one FILE: sign the verdict, record it, and write it with its proof",
    )
    member_options(look)
    look.add_argument("--model", metavar="NAME", help="whose marks alone are looked for")
    look.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Look at every file; one table, or JSON lines."""
    if options.sign is not None and len(options.files) != 1:
        raise Usage("--sign is of the verdict about one FILE")
    with open_folder(data_folder(os.environ)) as folder, open_library(folder) as library:
        install_models(folder.path)
        keys, plan = folder.keyring.marks().keys, PLANS[options.search]
        markers = sought(options.model, console)
        classifier = load_classifier(markers.by_name.values(), options.member, options.calibration)
        status, results = 0, []
        for file in options.files:
            try:
                data, name = read_file(file), str(file)
                found = judge(
                    data,
                    name=name,
                    marks=markers,
                    keys=keys,
                    plan=plan,
                    library=library,
                    classifier=classifier,
                )
            except Unreadable as e:
                warn(console, str(e))
                status = 2
                if options.json:
                    print(json.dumps({"file": str(file), "error": e.reason}))  # noqa: T201
                continue
            results.append(found)
            if options.sign is not None:
                sign(folder, found, options.sign, console)
            status = max(status, 0 if is_ours(found.verdict) else 1)
            if options.json:
                print(json.dumps(as_json(found, plan.name, markers.left_out)))  # noqa: T201
    if results and not options.json:
        Console().print(table(results))
        seconds = sum(found.verified.cost.seconds for found in results)
        Console().print(f"{plan.name} search, {seconds:.1f} s", highlight=False)
    return status


def sought(model: str | None, console: Console) -> Markers:
    """The marks of one model or of all, which says of whose marks it cannot look for."""
    markers = load_markers() if model is None else Markers([load_marker(model)])
    for name, why in markers.left_out.items():
        warn(console, f"marks of {name} are not looked for: {why}")
    return markers


def sign(folder: DataFolder, found: Judged, out: Path, console: Console) -> None:
    """Write the signed verdict and, beside it, the proof that the log has it."""
    attested = attest(folder, found, now=datetime.now(UTC))
    proof = out.with_name(f"{out.name}.tlog-proof")
    write_file(out, attested.envelope)
    write_file(proof, attested.proof)
    said = f"wrote {out} and {proof}: signed, entry {attested.index} of the log"
    console.print(said, markup=False, highlight=False, soft_wrap=True)


def is_ours(verdict: Verdict) -> bool:
    """Whether a mark of ours was found, or the log has the picture."""
    findings = verdict.findings
    marked = findings.mark.state in (MarkState.DETECTED, MarkState.UPLOAD)
    return marked or findings.record.state is not RecordState.NONE


def warn(console: Console, text: str) -> None:
    """One line about what could not be done."""
    console.print(f"countermark: {text}", markup=False, highlight=False, soft_wrap=True)


def as_json(found: Judged, plan: str, left_out: Mapping[str, str]) -> dict[str, Any]:
    """One file's findings with plain values."""
    verdict, verified = found.verdict, found.verified
    return {
        "file": verified.name,
        "width": verified.width,
        "height": verified.height,
        **verdict_json(verdict),
        "mark": mark_json(verified, plan, left_out),
        "classifier": None if found.answer is None else answer_json(found.answer),
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict and its findings with plain values."""
    return {
        "verdict": {
            "outcome": verdict.outcome.value,
            "says": MEANING[verdict.outcome].says,
            "leaves_open": MEANING[verdict.outcome].leaves_open,
            "row": verdict.row,
            "table": verdict.table,
            "entries": verdict.entries,
        },
        "findings": {name: finding_json(one) for name, one in findings(verdict)},
    }


def findings(verdict: Verdict) -> list[tuple[str, Finding[Any]]]:
    """Every finding with its name."""
    every = verdict.findings
    named = ("record", "manifest", "mark", "fingerprint", "revocation", "origin", "classifier")
    found = [(name, getattr(every, name)) for name in named]
    return [(name, finding) for name, finding in found if finding is not None]


def finding_json(finding: Finding[Any]) -> dict[str, Any]:
    """A finding with its number, version and caveat."""
    check = finding.check
    return {
        "state": finding.state.value,
        "quantity": check.quantity,
        "value": check.value,
        "threshold": check.threshold,
        "version": check.version,
        "caveat": check.caveat,
        "entries": finding.entries,
    }


def mark_json(found: Verified, plan: str, left_out: Mapping[str, str]) -> dict[str, Any]:
    """The search for marks in all its numbers; `left_out` says of models why they were not."""
    mark = found.mark
    match = mark.match
    return {
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
        "number": None if match is None or match.number is None else shown(match.number),
        "caveat": mark.caveat,
        "models": sorted({trials.model for trials in mark.family.trials}),
        "models_left_out": dict(left_out),
        "search": {
            "plan": plan,
            "views": found.cost.views,
            "windows_scanned": found.cost.scanned,
            "seconds": round(found.cost.seconds, 3),
        },
    }


def table(results: Sequence[Judged]) -> Table:
    """The verdict about each file, and every finding under it."""
    out = Table()
    for column in ("file", "looked for", "found", "number", "what it does not mean"):
        out.add_column(column, overflow="fold")  # a key's id is copied from here
    for found in results:
        verdict = found.verdict
        meaning = MEANING[verdict.outcome]
        said = f"[bold]{verdict.outcome}[/bold]: {meaning.says}"
        open_ = f"it leaves open: {meaning.leaves_open}"
        out.add_row(plain(found.verified.name), "[bold]verdict[/bold]", said, "", open_)
        for name, finding in findings(verdict):
            check = finding.check
            state = str(finding.state)
            if name == "mark" and (match := found.verified.mark.match):
                state += f" ({match.model}, {match.scheme}, key {match.key_id}, {match.key_state}"
                state += ")" if match.number is None else f", number {shown(match.number)})"
            limit = f" (threshold {check.threshold})" if check.threshold is not None else ""
            measured = f"{check.quantity}: {check.value}{limit}"
            out.add_row("", name, state, measured, check.caveat)
        out.add_section()
    return out


def plain(text: str) -> str:
    """A file's name without terminal commands or markup."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("[", "\\[")

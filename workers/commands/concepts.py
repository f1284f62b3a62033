"""`countermark concepts`: what may not be drawn here, from the next picture on."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy.orm import Session

from generators.text import load_text
from provenance import policies
from provenance.database import snapshot, transaction
from provenance.files import read_file
from provenance.policies import EVERY, Action, Concept, Effective, Version
from provenance.reasons import tell
from workers.commands import Usage
from workers.eraser import Eraser
from workers.folder import TENANT, data_folder, open_folder
from workers.screening import Screen

MAX_POLICY = 1_000_000  # bytes


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    concepts = commands.add_parser("concepts", help="which concepts may not be drawn")
    acts = concepts.add_subparsers(dest="act", required=True)
    ban = _act(acts, "ban", "keep a concept out, from the next picture on", run_ban)
    ban.add_argument("name", metavar="NAME")
    ban.add_argument("--phrase", action="append", metavar="P", help="again for every phrase")
    ban.add_argument("--action", type=Action, choices=list(Action), default=Action.STEER)
    ban.add_argument("--replacement", default="", metavar="P", help="drawn instead, with rewrite")
    ban.add_argument("--checker", default="", metavar="NAME", help="looks at every picture")
    ban.add_argument("--label", action="append", metavar="L", help="of the checker; again for more")
    ban.add_argument("--most", type=float, metavar="S", help="highest score the labels may have")
    ban.add_argument("--delta", default="", metavar="SHA256", help="of a delta to be applied")
    lift = _act(acts, "lift", "let a concept be drawn again", run_lift)
    lift.add_argument("name", metavar="NAME")
    load = _act(acts, "load", "make a JSON file the policy", run_load)
    load.add_argument("file", type=Path, metavar="F.json")
    show = _act(acts, "show", "what is kept out now", run_show)
    show.add_argument("--json", action="store_true", help="as `load` reads it")
    _act(acts, "history", "every version: when, and who made it", run_history)
    check = _act(acts, "check", "what would be done about a prompt; draws nothing", run_check)
    check.add_argument("prompt", metavar="PROMPT")


def _act(
    acts: argparse._SubParsersAction[argparse.ArgumentParser], name: str, says: str, run: Any
) -> argparse.ArgumentParser:
    act = acts.add_parser(name, help=says)
    act.add_argument("--model", default=EVERY, metavar="NAME", help="default: every model")
    act.add_argument("--tenant", default=EVERY, metavar="ID", help="default: every tenant")
    act.set_defaults(run=run)
    return act


def run_ban(options: argparse.Namespace, console: Console) -> int:
    """Add or replace one concept."""
    row: dict[str, Any] = {
        "name": options.name,
        "phrases": options.phrase or [options.name],
        "action": options.action.value,
        "replacement": options.replacement,
        "checker": options.checker,
        "labels": options.label or [],
        "delta": options.delta,
    }
    if options.most is not None:
        row["most"] = options.most
    with open_folder(data_folder(os.environ)) as folder:
        (concept,), attempts = policies.parse_concepts({"concepts": [row]})
        eraser = Eraser(folder)
        with transaction(folder.engine) as session:
            before = _newest(session, options)
            kept = [one for one in _concepts(before) if one.name != concept.name]
            after = _make(
                session, options, [*kept, concept], before.attempts if before else attempts
            )
            eraser.check(Effective((after,)))
    return _say(after, console)


def run_lift(options: argparse.Namespace, console: Console) -> int:
    """Take one concept out."""
    with open_folder(data_folder(os.environ)) as folder, transaction(folder.engine) as session:
        before = _newest(session, options)
        if before is None or options.name not in [one.name for one in before.concepts]:
            raise Usage(f"no concept is called {options.name!r} in this policy")
        kept = [one for one in before.concepts if one.name != options.name]
        after = _make(session, options, kept, before.attempts)
    return _say(after, console)


def run_load(options: argparse.Namespace, console: Console) -> int:
    """Make a file the policy."""
    data = read_file(options.file, MAX_POLICY)
    try:
        wanted = json.loads(data)
    except ValueError as e:
        raise Usage(f"{options.file} is not JSON: {e}") from e
    with open_folder(data_folder(os.environ)) as folder:
        eraser = Eraser(folder)
        with transaction(folder.engine) as session:
            concepts, attempts = policies.parse_concepts(wanted)
            after = _make(session, options, concepts, attempts)
            eraser.check(Effective((after,)))
    return _say(after, console)


def run_show(options: argparse.Namespace, console: Console) -> int:
    """Say what is kept out now."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        version = _newest(session, options)
    if options.json:
        attempts = version.attempts if version else 3
        print(json.dumps(policies.document(_concepts(version), attempts), indent=2))  # noqa: T201
    elif version is None or not version.concepts:
        print("nothing is kept out")  # noqa: T201
    else:
        for concept in version.concepts:
            print(describe(concept))  # noqa: T201
    return 0


def run_history(options: argparse.Namespace, console: Console) -> int:
    """Say who made which version."""
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        for one in policies.history(session, options.tenant, options.model):
            names = ", ".join(concept.name for concept in one.concepts) or "nothing"
            print(  # noqa: T201
                f"version {one.number}  {one.created:%Y-%m-%dT%H:%M:%SZ}  by {one.author}  "
                f"{one.digest.hex()}  keeps out {names}"
            )
    return 0


def run_check(options: argparse.Namespace, console: Console) -> int:
    """Say what would be done about a prompt; 1 if it would be refused."""
    tenant = TENANT if options.tenant == EVERY else options.tenant
    with open_folder(data_folder(os.environ)) as folder, snapshot(folder.engine) as session:
        policy = policies.effective(session, tenant, options.model)
    screened = Screen(load_text)(policy, options.prompt)
    lines = [tell(reason) for reason in screened.reasons] or ["nothing speaks against it"]
    if screened.prompt != options.prompt:
        lines.append(f"drawn would be: {screened.prompt}")
    for line in lines:
        print(line)  # noqa: T201
    return 1 if screened.refused else 0


def describe(concept: Concept) -> str:
    """One line about a concept."""
    parts = [f"{concept.name}: {concept.action} on {', '.join(map(repr, concept.phrases))}"]
    if concept.replacement:
        parts.append(f"replaced by {concept.replacement!r}")
    if concept.checker:
        labels = ", ".join(concept.labels)
        parts.append(f"{concept.checker} may score {labels} at most {concept.most:g}")
    if concept.delta:
        parts.append(f"delta {concept.delta[:16]}...")
    return "; ".join(parts)


def _newest(session: Session, options: argparse.Namespace) -> Version | None:
    found = policies.history(session, options.tenant, options.model, most=1)
    return found[0] if found else None


def _concepts(version: Version | None) -> tuple[Concept, ...]:
    return version.concepts if version else ()


def _make(
    session: Session, options: argparse.Namespace, concepts: Sequence[Concept], attempts: int
) -> Version:
    return policies.make(
        session,
        policies.document(concepts, attempts),
        tenant=options.tenant,
        model=options.model,
        author=f"command, by {getpass.getuser()}"[:100],
        now=datetime.now(UTC),
    )


def _say(version: Version, console: Console) -> int:
    names = ", ".join(concept.name for concept in version.concepts) or "nothing"
    text = f"version {version.number} of the policy ({version.tenant}/{version.model}): {names}"
    console.print(f"{text} kept out", markup=False, highlight=False, soft_wrap=True)
    return 0

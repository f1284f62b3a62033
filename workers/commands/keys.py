"""`countermark keys`: what keys there are, and how one takes over from another.

Every change is one replacement of the key file; the log then says it, under a new checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography import x509
from rich.console import Console
from rich.table import Table

from provenance import callers, keyring
from provenance.callers import Scope
from provenance.database import transaction
from provenance.keyring import Keyring
from provenance.keys import (
    CHECKING,
    SIGNING,
    Key,
    Purpose,
    claim_material,
    format_verdict_key,
    log_signer,
)
from provenance.ledger.note import format_vkey
from provenance.rotation import change_keys
from workers.access import issue
from workers.commands import Usage, moment
from workers.folder import TENANT, DataFolder, data_folder, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    keys = commands.add_parser("keys", help="list, rotate, retire and revoke keys")
    acts = keys.add_subparsers(dest="act", required=True)
    listed = acts.add_parser("list", help="every key, its state, and what it may still do")
    listed.add_argument("--purpose", type=Purpose, choices=list(Purpose))
    listed.add_argument("--json", action="store_true", help="one object a key")
    listed.set_defaults(run=run_list)
    rotate = acts.add_parser("rotate", help="make a new key active; the one before is retiring")
    rotate.add_argument("--ahead", action="store_true", help="only make it, pending, to publish")
    rotate.set_defaults(run=run_rotate)
    retire = acts.add_parser("retire", help="end the overlap: what is retiring is retired")
    retire.set_defaults(run=run_retire)
    for command in (rotate, retire):
        command.add_argument("--purpose", type=Purpose, choices=list(Purpose), required=True)
        command.add_argument("--tenant", default=TENANT, help="of all but the log's keys")
    revoke = acts.add_parser("revoke", help="say since when others may have had a key")
    revoke.add_argument("--key", required=True, metavar="ID")
    revoke.add_argument("--since", type=moment, required=True, metavar="TIME")
    revoke.set_defaults(run=run_revoke)
    create = acts.add_parser("create", help="an API key of the service, shown once")
    create.add_argument("--scope", type=Scope, choices=list(Scope), action="append", required=True)
    create.add_argument("--tenant", default=TENANT, metavar="NAME")
    create.add_argument("--name", default="", metavar="TEXT", help="what it is for")
    create.add_argument("--expires", type=moment, metavar="TIME", help="default: never")
    create.set_defaults(run=run_create)
    withdraw = acts.add_parser("withdraw", help="accept an API key no more")
    withdraw.add_argument("id", metavar="ID", help="the 12 characters after cm_")
    withdraw.set_defaults(run=run_withdraw)
    for command in (rotate, revoke):
        command.add_argument(
            "--certificate", type=Path, metavar="PEM", help="of a new claim key, leaf first"
        )


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Show the keys, without their secrets."""
    with open_folder(data_folder(os.environ)) as folder:
        keys = folder.keyring.keys
    shown = [k for k in keys if options.purpose in (None, k.purpose)]
    if options.json:
        for key in shown:
            print(json.dumps(as_json(key)))  # noqa: T201
        return 0
    table = Table()
    for column in ("key", "state", "since", "makes new", "is accepted"):
        table.add_column(column, overflow="fold")  # an id is copied from here, so never cut short
    for key in shown:
        row = as_json(key)
        table.add_row(row["key"], row["state"], row["since"], row["signs"], row["accepted"])
    Console().print(table)
    for key in shown:
        if (public := public_key(key)) is not None:
            Console().print(f"{key.state}: {public}", markup=False, highlight=False, soft_wrap=True)
    return 0


def public_key(key: Key) -> str | None:
    """What others need to check what the key signs; of a claim key its certificate says it."""
    match key.purpose:
        case Purpose.LOG:
            return format_vkey(log_signer(key).verifier)
        case Purpose.VERDICT:
            return format_verdict_key(key)
        case Purpose.CLAIM | Purpose.MARK | Purpose.TOKEN:
            return None


def as_json(key: Key) -> dict[str, str]:
    """What may be told about a key."""
    since = key.compromised or key.activated or key.created
    return {
        "key": key.key_id,
        "purpose": key.purpose.value,
        "owner": key.owner,
        "state": key.state.value,
        "since": since.isoformat(),
        "created": key.created.isoformat(),
        "signs": "yes" if key.state in SIGNING[key.purpose] else "no",
        "accepted": "yes" if key.state in CHECKING[key.purpose] else "no",
    }


def run_rotate(options: argparse.Namespace, console: Console) -> int:
    """Make a key active, or pending."""
    now = datetime.now(UTC)
    material = certified(options.certificate)
    turn = keyring.prepare if options.ahead else keyring.rotate
    with open_folder(data_folder(os.environ)) as folder:
        owner = owner_of(folder, options.purpose, options.tenant)
        step = partial(turn, purpose=options.purpose, owner=owner, now=now, material=material)
        return report(folder, change(folder, step, now), console)


def run_retire(options: argparse.Namespace, console: Console) -> int:
    """Retire the key that is retiring."""
    with open_folder(data_folder(os.environ)) as folder:
        owner = owner_of(folder, options.purpose, options.tenant)
        step = partial(keyring.retire, purpose=options.purpose, owner=owner)
        return report(folder, change(folder, step, datetime.now(UTC)), console)


def run_revoke(options: argparse.Namespace, console: Console) -> int:
    """Say since when a key is compromised."""
    now = datetime.now(UTC)
    step = partial(
        keyring.revoke,
        key_id=options.key,
        since=options.since,
        now=now,
        material=certified(options.certificate),
    )
    with open_folder(data_folder(os.environ)) as folder:
        return report(folder, change(folder, step, now), console)


def run_create(options: argparse.Namespace, console: Console) -> int:
    """Make an API key; it alone goes to standard output."""
    now = datetime.now(UTC)
    scopes, expires = options.scope, options.expires
    with open_folder(data_folder(os.environ)) as folder:
        made = issue(folder, options.tenant, scopes, name=options.name, now=now, expires=expires)
    said = f"API key {made.caller.id} of {options.tenant}; it cannot be shown again:"
    console.print(said, markup=False, highlight=False)
    print(made.token)  # noqa: T201
    return 0


def run_withdraw(options: argparse.Namespace, console: Console) -> int:
    """Accept an API key no more."""
    with open_folder(data_folder(os.environ)) as folder, transaction(folder.engine) as session:
        callers.revoke(session, options.id, now=datetime.now(UTC))
    console.print(f"API key {options.id} is withdrawn", markup=False, highlight=False)
    return 0


def change(folder: DataFolder, step: Callable[[Keyring], Keyring], now: datetime) -> Keyring:
    """The keys after a step, in the file and in the log."""
    return change_keys(folder.keys, folder.engine, folder.anchor, step, now=now)


def owner_of(folder: DataFolder, purpose: Purpose, tenant: str) -> str:
    """Whose keys are meant: the log's, or a tenant's."""
    if purpose is not Purpose.LOG:
        return tenant
    if tenant != TENANT:
        raise Usage(f"--tenant: the log's keys are the installation's, not those of {tenant!r}")
    return folder.keyring.log_verifiers()[0].name


def certified(certificate: Path | None) -> bytes | None:
    """What the claim key of a certificate is known by."""
    if certificate is None:
        return None
    try:
        return claim_material(x509.load_pem_x509_certificates(certificate.read_bytes())[0])
    except ValueError as e:
        raise Usage(f"--certificate: {certificate} is not a certificate in PEM") from e


def report(folder: DataFolder, changed: Keyring, console: Console) -> int:
    """Say what is different now."""
    before = {key.key_id: key for key in folder.keyring.keys}
    for key in changed.keys:
        old = before.get(key.key_id)
        if old != key:
            was = old.state.value if old else "not there"
            console.print(
                f"key {key.key_id}: {was}, now {key.state}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    return 0

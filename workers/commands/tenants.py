"""`countermark tenants`: who shares keys, pictures and quotas."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from provenance import callers
from provenance.callers import Quota
from provenance.database import transaction
from workers.access import CHECKS_A_DAY, PICTURES_A_DAY, add_tenant, list_access
from workers.folder import data_folder, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    tenants = commands.add_parser("tenants", help="who shares keys, pictures and quotas")
    acts = tenants.add_subparsers(dest="act", required=True)
    add = acts.add_parser("add", help="a tenant with mark keys of its own")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--pictures", type=int, default=PICTURES_A_DAY, metavar="N", help="a day")
    add.add_argument("--checks", type=int, default=CHECKS_A_DAY, metavar="N", help="a day")
    add.set_defaults(run=run_add)
    suspend = acts.add_parser("suspend", help="accept none of its API keys from now on")
    suspend.add_argument("name", metavar="NAME")
    suspend.set_defaults(run=run_suspend)
    acts.add_parser("list", help="every tenant and its API keys").set_defaults(run=run_list)


def run_add(options: argparse.Namespace, console: Console) -> int:
    """Make a tenant."""
    quotas = {Quota.PICTURES: options.pictures, Quota.CHECKS: options.checks}
    with open_folder(data_folder(os.environ)) as folder:
        made = add_tenant(folder, options.name, quotas=quotas, now=datetime.now(UTC))
    said = f"tenant {made.name}, known in public key names as {made.id}"
    console.print(said, markup=False, highlight=False)
    return 0


def run_suspend(options: argparse.Namespace, console: Console) -> int:
    """Suspend a tenant."""
    with open_folder(data_folder(os.environ)) as folder, transaction(folder.engine) as session:
        tenant = callers.find_tenant(session, options.name)
        callers.suspend(session, tenant, now=datetime.now(UTC))
    console.print(f"tenant {options.name} is suspended", markup=False, highlight=False)
    return 0


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Show tenants and API keys, without any secret."""
    table = Table()
    for column in ("tenant", "id", "API key", "named", "may", "state"):
        table.add_column(column, overflow="fold")
    now = datetime.now(UTC)
    with open_folder(data_folder(os.environ)) as folder:
        for tenant, keys in list_access(folder):
            table.add_row(
                tenant.name, tenant.id, "", "", "", "suspended" if tenant.suspended else ""
            )
            for key in keys:
                scopes = " ".join(sorted(key.scopes))
                table.add_row("", "", key.id, key.name, scopes, state(key, now))
    Console().print(table)
    return 0


def state(key: callers.Caller, now: datetime) -> str:
    """Whether an API key is accepted."""
    if key.revoked is not None:
        return f"revoked {key.revoked:%Y-%m-%d}"
    if key.expires is not None:
        return f"{'expired' if key.expires <= now else 'expires'} {key.expires:%Y-%m-%d}"
    return "valid"

"""The data folder: where an installation keeps its secrets.

`COUNTERMARK_DATA` names it, else the user's data directory. `init` makes it, readable by its owner
alone; every other command finds it there or says so in one line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import platformdirs

from provenance.watermark import keyring
from provenance.watermark.keyring import Keyring

TENANT = "local"
KEYS = "mark-keys.json"


class NoFolder(RuntimeError):
    """The data folder is not there, or is there already."""


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where the data folder is or would be."""
    named = environment.get("COUNTERMARK_DATA")
    return Path(named) if named else platformdirs.user_data_path("countermark")


def make(folder: Path, *, now: datetime) -> Keyring:
    """A new data folder with one mark key; a folder with keys is never touched."""
    if (folder / KEYS).exists():
        raise NoFolder(f"{folder} holds keys already; nothing was changed")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    return keyring.create(folder / KEYS, TENANT, now=now)


def load_keys(folder: Path) -> Keyring:
    """The keys of a data folder."""
    if not (folder / KEYS).exists():
        raise NoFolder(f"no mark key in {folder}: run `countermark init` first")
    return keyring.load(folder / KEYS)

"""The key file: a tenant's secrets by epoch, readable by the owner alone.

Written whole to a new file (mode 0600, O_EXCL) that then replaces the old one, under a lock, so a
crash leaves the old keys or the new ones. A file that others may read, that was cut short or edited
into nonsense is refused. The secrets lie in the clear: protect the folder, back it up encrypted.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provenance.watermark.errors import BadKeyring, ExposedKeyring, UnknownKey
from provenance.watermark.keys import SECRET_BYTES, Key, KeyState

FORMAT = "countermark-keyring/1"


@dataclass(frozen=True)
class Keyring:
    """All keys of a file, oldest first."""

    keys: tuple[Key, ...]

    def active(self, tenant: str) -> Key:
        """The one key that marks this tenant's pictures."""
        for key in self.keys:
            if key.tenant == tenant and key.state is KeyState.ACTIVE:
                return key
        raise UnknownKey(f"tenant {tenant!r} has no active key")

    def get(self, key_id: str) -> Key:
        for key in self.keys:
            if key.key_id == key_id:
                return key
        raise UnknownKey(f"no key has the id {key_id!r}")


def create(path: Path, tenant: str, *, now: datetime) -> Keyring:
    """A new key file with one active key; an existing file is never touched."""
    with _locked(path):
        if path.exists():
            raise BadKeyring(f"{path} exists already")
        return _write(path, Keyring((_fresh(tenant, 1, now),)))


def rotate(path: Path, tenant: str, *, now: datetime) -> Keyring:
    """A new active key for a tenant, known or new; the one before is retired and still detects."""
    with _locked(path):
        old = load(path)
        epoch = 1 + max((key.epoch for key in old.keys if key.tenant == tenant), default=0)
        kept = tuple(
            replace(key, state=KeyState.RETIRED)
            if key.tenant == tenant and key.state is KeyState.ACTIVE
            else key
            for key in old.keys
        )
        return _write(path, Keyring((*kept, _fresh(tenant, epoch, now))))


def revoke(path: Path, key_id: str) -> Keyring:
    """The same keys, one of them never to mark again, and its marks reported as revoked."""
    with _locked(path):
        old = load(path)
        lost = old.get(key_id)
        kept = (replace(k, state=KeyState.REVOKED) if k == lost else k for k in old.keys)
        return _write(path, Keyring(tuple(kept)))


def load(path: Path) -> Keyring:
    """The keys of a file that only its owner may read."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ExposedKeyring(f"others may read {path}: chmod 600, then rotate its keys")
            data = file.read()
    except OSError as e:
        raise BadKeyring(f"cannot read {path}: {e.strerror}") from e
    try:
        return parse(data)
    except BadKeyring as e:
        raise BadKeyring(f"{path}: {e}") from e


def parse(data: bytes) -> Keyring:
    """The keys in a file's bytes; checks every id against its secret."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise BadKeyring(f"not of format {FORMAT}")
        keys = tuple(_parse_key(row) for row in document["keys"])
    except (ValueError, KeyError, TypeError) as e:
        raise BadKeyring(f"not a key file: {type(e).__name__} at {e}") from e
    if not keys:
        raise BadKeyring("holds no keys")
    _check_unique(keys)
    return Keyring(keys)


def format_keyring(keyring: Keyring) -> bytes:
    """A key file's bytes."""
    rows = [
        {
            "key_id": key.key_id,
            "tenant": key.tenant,
            "epoch": key.epoch,
            "state": key.state.value,
            "created": key.created.astimezone(UTC).isoformat(),
            "secret": key.secret.hex(),
        }
        for key in keyring.keys
    ]
    return json.dumps({"format": FORMAT, "keys": rows}, indent=1).encode() + b"\n"


def _parse_key(row: Any) -> Key:
    key = Key(
        secret=bytes.fromhex(row["secret"]),
        tenant=row["tenant"],
        epoch=row["epoch"],
        state=KeyState(row["state"]),
        created=datetime.fromisoformat(row["created"]),
    )
    if key.key_id != row["key_id"]:
        raise BadKeyring(f"the secret of {row['key_id']!r} is not the one it was made with")
    return key


def _check_unique(keys: tuple[Key, ...]) -> None:
    epochs = [(key.tenant, key.epoch) for key in keys]
    active = [key.tenant for key in keys if key.state is KeyState.ACTIVE]
    if len(set(epochs)) < len(epochs) or len({key.secret for key in keys}) < len(keys):
        raise BadKeyring("holds the same key twice")
    if len(set(active)) < len(active):
        raise BadKeyring("holds two active keys of one tenant")


def _fresh(tenant: str, epoch: int, now: datetime) -> Key:
    return Key(secrets.token_bytes(SECRET_BYTES), tenant, epoch, KeyState.ACTIVE, now)


def _write(path: Path, keyring: Keyring) -> Keyring:
    """Replace the file; called under the lock, so a left-over new file is a dead writer's."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(format_keyring(keyring))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _sync_folder(path.parent)
    return keyring


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time in the file's folder; a dead writer's lock is gone with it."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as e:
        raise BadKeyring(f"cannot open {path.parent}: {e.strerror}") from e
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

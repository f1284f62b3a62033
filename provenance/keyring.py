"""The key file: every key of an installation by purpose, owner and epoch.

Steps (`prepare`, `rotate`, `retire`, `revoke`) are functions from keyring to keyring; `change`
applies one to the file. The file is written whole to a new one (mode 0600, O_EXCL) that then
replaces the old, under a lock, so a crash leaves the old keys or the new ones. A file that others
may read, that was cut short or edited is refused. The secrets lie in the clear: protect the folder,
back it up encrypted.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provenance.errors import ProvenanceError
from provenance.files import sync_folder
from provenance.keys import CHECKING, MATERIAL_BYTES, SIGNING, Key, KeyState, Purpose, log_signer
from provenance.ledger.note import Signer, Verifier
from provenance.watermark.keys import Key as MarkKey

FORMAT = "countermark-keyring/2"
_ONE_EACH = (KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING)


class KeyringError(ProvenanceError):
    """The base of what can be wrong with keys and their file."""


class UnknownKey(KeyringError):
    """No key of this id, or no active key of this purpose and owner."""


class BadKeyring(KeyringError):
    """The key file is missing, corrupt, contradicts itself, or exists where it must not."""


class ExposedKeyring(BadKeyring):
    """Others than the owner may read the key file, so its secrets are no secrets."""


class BadStep(KeyringError):
    """A step that the states of the keys do not allow; nothing was changed."""


@dataclass(frozen=True)
class MarkKeys:
    """The keys whose marks are looked for, oldest first."""

    keys: tuple[MarkKey, ...]

    def active(self, tenant: str) -> MarkKey:
        """The one key that marks this tenant's pictures."""
        for key in self.keys:
            if key.tenant == tenant and key.state is KeyState.ACTIVE:
                return key
        raise UnknownKey(f"tenant {tenant!r} has no active mark key")


@dataclass(frozen=True)
class Keyring:
    """All keys of an installation, oldest first; BadKeyring if they contradict each other."""

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise BadKeyring("holds no keys")
        epochs = {(key.purpose, key.owner, key.epoch) for key in self.keys}
        if not len(epochs) == len({key.material for key in self.keys}) == len(self.keys):
            raise BadKeyring("holds the same key twice")
        held = Counter((k.state, k.purpose, k.owner) for k in self.keys if k.state in _ONE_EACH)
        if twice := [which for which, count in held.items() if count > 1]:
            raise BadKeyring("holds two {} {} keys of {}".format(*twice[0]))
        if len({key.owner for key in self.keys if key.purpose is Purpose.LOG}) > 1:
            raise BadKeyring("holds the keys of two logs")

    def get(self, key_id: str) -> Key:
        for key in self.keys:
            if key.key_id == key_id:
                return key
        raise UnknownKey(f"no key has the id {key_id!r}")

    def find(self, state: KeyState, purpose: Purpose, owner: str) -> Key | None:
        """The key in a state that only one of an owner's can be in."""
        assert state in _ONE_EACH, state
        which = (state, purpose, owner)
        return next((k for k in self.keys if (k.state, k.purpose, k.owner) == which), None)

    def active(self, purpose: Purpose, owner: str) -> Key:
        """The one key that signs for this owner now."""
        key = self.find(KeyState.ACTIVE, purpose, owner)
        if key is None:
            raise UnknownKey(f"{owner!r} has no active {purpose} key")
        return key

    def checking(self, purpose: Purpose) -> tuple[Key, ...]:
        """The keys whose work is looked for or accepted."""
        return tuple(k for k in self.keys if k.purpose is purpose and k.state in CHECKING[purpose])

    def marks(self) -> MarkKeys:
        """The keys of marks, in the form that tosses coins."""
        return MarkKeys(
            tuple(
                MarkKey(k.material, k.owner, k.epoch, k.state, k.created)
                for k in self.checking(Purpose.MARK)
            )
        )

    def log_signers(self) -> tuple[Signer, ...]:
        """Who signs the next checkpoint: the active key, and the one before while it retires."""
        signing = SIGNING[Purpose.LOG]
        return tuple(
            log_signer(k) for k in self.keys if k.purpose is Purpose.LOG and k.state in signing
        )

    def log_verifiers(self) -> tuple[Verifier, ...]:
        """Every key the log ever signed with, a compromised one too: for auditing one's own log."""
        used = (k for k in self.keys if k.purpose is Purpose.LOG and k.activated)
        return tuple(log_signer(k).verifier for k in used)


def prepare(
    keyring: Keyring, purpose: Purpose, owner: str, *, now: datetime, material: bytes | None = None
) -> Keyring:
    """A pending key, to be published before the next rotation makes it active.

    `material` is given for a claim key, and only for one: others are made here.
    """
    if keyring.find(KeyState.PENDING, purpose, owner):
        raise BadStep(f"{owner!r} has a pending {purpose} key already")
    return Keyring((*keyring.keys, _fresh(keyring.keys, purpose, owner, now, material)))


def rotate(
    keyring: Keyring, purpose: Purpose, owner: str, *, now: datetime, material: bytes | None = None
) -> Keyring:
    """The pending key, or a new one, is active; the one before retires, and one at a time does.

    For an owner without keys it is the first.
    """
    if retiring := keyring.find(KeyState.RETIRING, purpose, owner):
        raise BadStep(f"key {retiring.key_id} is still retiring: retire it first")
    old = keyring.find(KeyState.ACTIVE, purpose, owner)
    keys = keyring.keys
    if old is not None:
        keys = _replaced(keys, old, replace(old, state=KeyState.RETIRING))
    return Keyring(_succeeded(keys, purpose, owner, now, material))


def retire(keyring: Keyring, purpose: Purpose, owner: str) -> Keyring:
    """The end of the overlap: what was retiring is retired."""
    retiring = keyring.find(KeyState.RETIRING, purpose, owner)
    if retiring is None:
        raise BadStep(f"{owner!r} has no retiring {purpose} key: a rotation comes first")
    done = replace(retiring, state=KeyState.RETIRED)
    return Keyring(_replaced(keyring.keys, retiring, done))


def revoke(
    keyring: Keyring,
    key_id: str,
    *,
    since: datetime,
    now: datetime,
    material: bytes | None = None,
) -> Keyring:
    """The key is compromised since a time; if it was active, it has a successor at once.

    A key may be revoked again since an earlier time, never since a later one.
    """
    lost, since = keyring.get(key_id), _seconds(since)
    elsewhere = lost.purpose is Purpose.CLAIM  # and so perhaps older than this file knows
    if not (lost.created <= since or elsewhere) or since > _seconds(now):
        raise BadStep(
            f"key {key_id} was made at {lost.created.isoformat()}: others can have it since a time "
            f"between that and now, not since {since.isoformat()}"
        )
    if lost.compromised is not None and lost.compromised <= since:
        raise BadStep(f"key {key_id} is compromised already, since {lost.compromised.isoformat()}")
    gone = replace(lost, state=KeyState.COMPROMISED, compromised=since)
    keys = _replaced(keyring.keys, lost, gone)
    if lost.state is KeyState.ACTIVE:
        keys = _succeeded(keys, lost.purpose, lost.owner, now, material)
    elif material is not None:
        raise BadStep(f"key {key_id} is not active: it needs no successor")
    return Keyring(keys)


def create(path: Path, owners: Mapping[Purpose, str], *, now: datetime) -> Keyring:
    """A new key file with an active key a purpose; an existing file is never touched."""
    with _locked(path):
        if path.exists():
            raise BadKeyring(f"{path} exists already")
        keys: tuple[Key, ...] = ()
        for purpose, owner in owners.items():
            keys = _succeeded(keys, purpose, owner, now, None)
        return _write(path, Keyring(keys))


def change(path: Path, step: Callable[[Keyring], Keyring]) -> Keyring:
    """The keys after a step, in the file when this returns."""
    with _locked(path):
        return _write(path, step(load(path)))


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
    """The keys in a file's bytes, which must be as `format_keyring` writes them."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise BadKeyring(f"not of format {FORMAT}")
        keyring = Keyring(tuple(_parse_key(row) for row in document["keys"]))
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise BadKeyring(f"not a key file: {type(e).__name__} at {e}") from e
    if format_keyring(keyring) != data:
        raise BadKeyring("not as it was written: an id, a field or the layout was changed")
    return keyring


def format_keyring(keyring: Keyring) -> bytes:
    """A key file's bytes."""
    rows = [
        {
            "key_id": key.key_id,
            "purpose": key.purpose.value,
            "owner": key.owner,
            "epoch": key.epoch,
            "state": key.state.value,
            "created": _format_time(key.created),
            "activated": _format_time(key.activated),
            "compromised": _format_time(key.compromised),
            "material": key.material.hex(),
        }
        for key in keyring.keys
    ]
    return json.dumps({"format": FORMAT, "keys": rows}, indent=1).encode() + b"\n"


def _parse_key(row: Any) -> Key:
    return Key(
        material=bytes.fromhex(row["material"]),
        purpose=Purpose(row["purpose"]),
        owner=row["owner"],
        epoch=row["epoch"],
        state=KeyState(row["state"]),
        created=datetime.fromisoformat(row["created"]),
        activated=_parse_time(row["activated"]),
        compromised=_parse_time(row["compromised"]),
    )


def _format_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _parse_time(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _fresh(
    keys: tuple[Key, ...], purpose: Purpose, owner: str, now: datetime, material: bytes | None
) -> Key:
    """A pending key of the next epoch."""
    if (material is not None) is not (purpose is Purpose.CLAIM):
        raise BadStep("a claim key, and no other, comes with the certificate of its public half")
    held = (k.epoch for k in keys if (k.purpose, k.owner) == (purpose, owner))
    epoch, created = 1 + max(held, default=0), _seconds(now)
    material = material or secrets.token_bytes(MATERIAL_BYTES)
    try:
        return Key(material, purpose, owner, epoch, KeyState.PENDING, created, None)
    except ValueError as e:
        raise BadStep(f"cannot make a {purpose} key: {e}") from e


def _succeeded(
    keys: tuple[Key, ...], purpose: Purpose, owner: str, now: datetime, material: bytes | None
) -> tuple[Key, ...]:
    """The keys with a new active one, for an owner who has none."""
    which = (KeyState.PENDING, purpose, owner)
    pending = next((k for k in keys if (k.state, k.purpose, k.owner) == which), None)
    if pending is None:
        pending = _fresh(keys, purpose, owner, now, material)
        keys = (*keys, pending)
    elif material is not None:
        raise BadStep(f"key {pending.key_id} is pending: it comes next, not another")
    active = replace(pending, state=KeyState.ACTIVE, activated=_seconds(now))
    return _replaced(keys, pending, active)


def _replaced(keys: tuple[Key, ...], old: Key, new: Key) -> tuple[Key, ...]:
    return tuple(new if key == old else key for key in keys)


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
    sync_folder(path.parent)
    return keyring


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

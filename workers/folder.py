"""The data folder: keys, certificates, database and anchor of an installation.

`COUNTERMARK_DATA` names it, else the user's data directory. `init` makes it in one step, readable
by its owner alone; every other command finds it whole or says in one line what is missing. A file
`production` in it declares that certificates of a test are refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import platformdirs
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from cryptography import x509
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

import migrations
from provenance import keyring, pki
from provenance.database import connect, snapshot
from provenance.files import sync_folder, write_file
from provenance.keyring import Keyring, MarkKeys
from provenance.keys import Purpose, claim_material
from provenance.ledger.anchor import sign_checkpoint
from provenance.manifest.read import Trust, open_trust
from provenance.manifest.write import Signer
from provenance.pkcs11 import open_token, parse_place
from provenance.pki import TestPki
from provenance.settings import DATABASE, ELSEWHERE, database_url, sqlite_url
from workers import policy
from workers.policy import Labels

TENANT = "local"
KEYS = "keys.json"
ANCHOR = "anchor"
CLAIM_TOKEN, CLAIM_PIN = "claim-token.json", "claim-pin"  # for a claim key in a token
PRODUCTION = "production"  # that it is there is what counts, whatever it says
# A claim key is registered by its certificate, and kept in a file of its own.
MADE_HERE = (Purpose.MARK, Purpose.LOG, Purpose.TOKEN, Purpose.VERDICT)


class NoFolder(RuntimeError):
    """The data folder is not there, not whole, or there already."""


@dataclass(frozen=True)
class DataFolder:
    """An open data folder; the keys are as they were when it was opened."""

    path: Path
    keyring: Keyring
    engine: Engine
    anchor: Path
    production: bool
    labels: Labels

    @property
    def keys(self) -> Path:
        """The key file."""
        return self.path / KEYS


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where the data folder is or would be."""
    named = environment.get("COUNTERMARK_DATA")
    return Path(named) if named else platformdirs.user_data_path("countermark")


def make(
    folder: Path, *, origin: str | None = None, now: datetime, database: str | None = None
) -> Keyring:
    """A new data folder: a key a purpose, an empty log and its first checkpoint; or nothing.

    Built beside its place and renamed into it, which only an empty folder allows. `origin` is the
    log's name for ever, by default one that no other log has. The claim key's certificate is of a
    test, and says so. `database` is the URL of one elsewhere, which the folder then names.
    """
    place = folder.resolve()
    _check_free(folder, place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent))
    except OSError as e:
        raise NoFolder(f"cannot make {folder}: {e.strerror}") from e
    try:
        made = _fill(new, origin or f"countermark-{secrets.token_hex(8)}", now, database)
        sync_folder(new)
        new.rename(place)
        sync_folder(place.parent)
    except OSError as e:
        raise NoFolder(f"cannot make {folder}: {e.strerror}; nothing was changed") from e
    finally:
        shutil.rmtree(new, ignore_errors=True)  # gone already if it was renamed
    return made


@contextmanager
def open_folder(folder: Path, *, database: str | None = None) -> Iterator[DataFolder]:
    """The data folder, its tables brought up to date, its connections closed afterwards.

    `database` is the URL of another database than the folder's own.
    """
    keys = load_keyring(folder)
    url = database or database_url(folder)
    for name in (ANCHOR, *([DATABASE] if url == sqlite_url(folder) else [])):
        if not (folder / name).is_file():
            raise NoFolder(f"{folder / name} is missing: restore it, the log cannot go on without")
    engine = connect(url)
    try:
        _check_tables(engine, folder)
        production, labels = os.path.lexists(folder / PRODUCTION), policy.load(folder)
        yield DataFolder(folder, keys, engine, folder / ANCHOR, production, labels)
    finally:
        engine.dispose()


def declare_production(folder: DataFolder, *, now: datetime) -> Path:
    """The file that says so, once no certificate here is of a test; else raises TestPki."""
    declared = replace(folder, production=True)
    load_claim_signer(declared, now=now)
    load_trust(declared, now=now)
    file = folder.path / PRODUCTION
    if not folder.production:
        write_file(file, f"declared {now:%Y-%m-%dT%H:%M:%SZ}, see docs/keys.md\n".encode())
    return file


def load_claim_signer(folder: DataFolder, *, now: datetime) -> Signer:
    """What signs manifests; raises NoFolder if it is not the active claim key of the key file.

    The key is in a file, or in the token that `claim-token.json` names. Declared for
    production, raises TestPki for the certificate of a test.
    """
    signer = _load_signer(folder.path, now)
    active = folder.keyring.active(Purpose.CLAIM, TENANT)
    if claim_material(signer.chain[0]) != active.material:
        raise NoFolder(
            f"{folder.path / pki.CHAIN} is not of the active claim key {active.key_id}: "
            "put the right one there, or run `countermark keys rotate --purpose claim`"
        )
    check_production(folder, signer.chain, name=pki.CHAIN)
    return signer


def load_trust(folder: DataFolder, *, now: datetime) -> Trust:
    """The authority whose signers are believed; belongs to this process and thread.

    Declared for production, raises TestPki for the authority of a test.
    """
    root = folder.path / pki.ROOT
    try:
        anchors = root.read_bytes()
    except OSError as e:
        raise NoFolder(f"cannot read {root}, the authority of our manifests: {e.strerror}") from e
    trust = open_trust(anchors, now=now)
    check_production(folder, trust.anchors, name=pki.ROOT)
    return trust


def check_production(
    folder: DataFolder, certificates: Sequence[x509.Certificate], *, name: str
) -> None:
    """Raise TestPki if one is of a test and the installation is declared for production."""
    if not folder.production:
        return
    try:
        pki.refuse_test_pki(certificates)
    except TestPki as e:
        declared = folder.path / PRODUCTION
        raise TestPki(f"{name}: {e}; {declared} forbids those of a test") from e


def load_keys(folder: Path) -> MarkKeys:
    """The mark keys of a data folder."""
    return load_keyring(folder).marks()


def _load_signer(folder: Path, now: datetime) -> Signer:
    """The signer of the chain, whose key is in one of two places and not in both."""
    chain, key, token = folder / pki.CHAIN, folder / pki.KEY, folder / CLAIM_TOKEN
    if not token.exists():
        return pki.load_signer(chain, key, now=now)
    if key.exists():
        raise NoFolder(f"a claim key in {token} and one in {key}: remove the one not to be used")
    try:
        named, pin = token.read_bytes(), (folder / CLAIM_PIN).read_bytes()
        certificates = pki.parse_chain(chain.read_bytes(), name=str(chain))
    except OSError as e:
        raise NoFolder(f"cannot read {e.filename}, which a claim key in a token needs") from e
    if (folder / CLAIM_PIN).stat().st_mode & 0o077:
        raise NoFolder(f"others may read {folder / CLAIM_PIN}: chmod 600, then change the PIN")
    return open_token(parse_place(named, pin, name=str(token)), certificates, now=now)


def load_keyring(folder: Path) -> Keyring:
    """All keys of a data folder, as they are now."""
    if not (folder / KEYS).exists():
        raise NoFolder(f"no keys in {folder}: run `countermark init` first")
    return keyring.load(folder / KEYS)


def _check_free(folder: Path, place: Path) -> None:
    if (place / KEYS).exists():
        raise NoFolder(f"{folder} holds keys already; nothing was changed")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise NoFolder(f"{folder} is not an empty folder; nothing was changed")


def _fill(new: Path, origin: str, now: datetime, database: str | None) -> Keyring:
    owners = {one: origin if one is Purpose.LOG else TENANT for one in MADE_HERE}
    keyring.create(new / KEYS, owners, now=now)
    policy.save(new, policy.NO_LABELS)
    material = claim_material(pki.make_test_pki(new, now=now).chain[0])
    made = keyring.change(
        new / KEYS,
        lambda ring: keyring.rotate(ring, Purpose.CLAIM, TENANT, now=now, material=material),
    )
    if database is not None:
        write_file(new / ELSEWHERE, f"{database}\n".encode())
        (new / ELSEWHERE).chmod(0o600)  # the URL may hold a password
    engine = connect(database_url(new))
    try:
        migrations.upgrade(engine)
        sign_checkpoint(engine, made.log_signers(), new / ANCHOR)
    finally:
        engine.dispose()
    return made


def _check_tables(engine: Engine, folder: Path) -> None:
    """Brings the tables up to date; raises NoFolder for what is no database of ours."""
    file = engine.url.render_as_string() if engine.url.host else folder / DATABASE
    head = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    try:
        with snapshot(engine) as session:
            revision = session.scalar(text("SELECT version_num FROM alembic_version"))
        if revision != head:
            migrations.upgrade(engine)
    except DatabaseError as e:
        raise NoFolder(f"{file} cannot be read as a database of Countermark: {e.orig}") from e
    except CommandError as e:
        raise NoFolder(f"{file} was made by a newer version of Countermark: {e}") from e

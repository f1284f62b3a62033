"""What the key file says of a change, the log says too, once, whatever crash came between."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from provenance import keyring
from provenance.database import snapshot, transaction
from provenance.keyring import BadStep, Keyring
from provenance.keys import KeyState, Purpose
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.audit import check_log
from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.errors import NotProven, Refused
from provenance.ledger.log import Draft, append, latest_checkpoint, log_size, read_record
from provenance.ledger.record import KeyRotation, Record
from provenance.rotation import change_keys, record_keys
from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import picture

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
LOG = "example.com/log"

Step = Callable[[Keyring], Keyring]


@dataclass(frozen=True)
class Store:
    """Keys, log and anchor under test."""

    keys: Path
    engine: Engine
    anchor: Path

    def change(self, step: Step) -> Keyring:
        return change_keys(self.keys, self.engine, self.anchor, step, now=LATER)

    def catch_up(self) -> None:
        record_keys(keyring.load(self.keys), self.engine, self.anchor, now=LATER)

    def sign(self) -> bytes:
        signers = keyring.load(self.keys).log_signers()
        return sign_checkpoint(self.engine, signers, self.anchor)

    def records(self) -> list[Record]:
        with snapshot(self.engine) as session:
            return [read_record(session, index) for index in range(log_size(session))]

    def check(self) -> None:
        """The log is whole, and its newest checkpoint covers all of it."""
        log = keyring.load(self.keys).log_verifiers()
        with snapshot(self.engine) as session:
            check_log(session, log, self.anchor)
            note = latest_checkpoint(session)
            assert note is not None
            assert open_checkpoint(note, log).checkpoint.size == log_size(session)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with migrated_database(request.param, tmp_path) as engine:
        yield made(tmp_path, engine)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    with migrated_database("sqlite", tmp_path) as engine:
        yield made(tmp_path, engine)


def made(folder: Path, engine: Engine) -> Store:
    found = Store(folder / "keys.json", engine, folder / "anchor")
    owners = {Purpose.MARK: "acme", Purpose.LOG: LOG}
    keyring.create(found.keys, owners, now=NOW)
    found.sign()
    return found


def owner(purpose: Purpose) -> str:
    return LOG if purpose is Purpose.LOG else "acme"


def rotate(purpose: Purpose) -> Step:
    return partial(keyring.rotate, purpose=purpose, owner=owner(purpose), now=LATER)


def retire(purpose: Purpose) -> Step:
    return partial(keyring.retire, purpose=purpose, owner=owner(purpose))


def revoke(key: str, since: datetime = NOW) -> Step:
    return partial(keyring.revoke, key_id=key, since=since, now=LATER)


def active(ring: Keyring, purpose: Purpose) -> str:
    return ring.active(purpose, owner(purpose)).key_id


@pytest.mark.parametrize("purpose", [Purpose.MARK, Purpose.LOG])
def test_rotation_and_retirement_are_an_entry_each(store: Store, purpose: Purpose) -> None:
    old = active(keyring.load(store.keys), purpose)
    new = active(store.change(rotate(purpose)), purpose)
    said = KeyRotation(LATER, purpose.value, old, new, None)
    assert store.records() == [said]
    store.change(retire(purpose))
    assert store.records() == [said, said]
    store.check()


@pytest.mark.parametrize("purpose", [Purpose.MARK, Purpose.LOG])
def test_a_revocation_is_an_entry_with_the_time_since_when(store: Store, purpose: Purpose) -> None:
    old = active(keyring.load(store.keys), purpose)
    new = active(store.change(revoke(old, since=LATER)), purpose)
    said = KeyRotation(LATER, purpose.value, old, new, LATER)
    assert store.records() == [said]
    store.change(revoke(old, since=NOW))
    assert store.records() == [said, KeyRotation(LATER, purpose.value, old, new, NOW)]
    store.check()


def test_a_prepared_key_is_no_entry_until_it_is_active(sqlite_store: Store) -> None:
    step = partial(keyring.prepare, purpose=Purpose.MARK, owner="acme", now=LATER)
    pending = sqlite_store.change(step).keys[-1]
    assert pending.state is KeyState.PENDING
    assert sqlite_store.records() == []
    sqlite_store.change(rotate(Purpose.MARK))
    (said,) = sqlite_store.records()
    assert isinstance(said, KeyRotation)
    assert said.active == pending.key_id


@pytest.mark.parametrize("purpose", [Purpose.MARK, Purpose.LOG])
def test_a_change_that_a_crash_kept_from_the_log_is_said_once(
    sqlite_store: Store, purpose: Purpose
) -> None:
    old = active(keyring.load(sqlite_store.keys), purpose)
    steps = [rotate(purpose), retire(purpose), revoke(old, since=NOW)]
    for done, step in enumerate(steps, start=1):
        keyring.change(sqlite_store.keys, step)
        assert len(sqlite_store.records()) == done - 1
        sqlite_store.catch_up()
        sqlite_store.catch_up()
        assert len(sqlite_store.records()) == done
        sqlite_store.check()


def test_the_next_change_says_the_one_before_first(sqlite_store: Store) -> None:
    keyring.change(sqlite_store.keys, rotate(Purpose.MARK))
    sqlite_store.change(retire(Purpose.MARK))
    first, second = sqlite_store.records()
    assert first == second
    sqlite_store.check()


def test_readers_of_either_key_can_follow_the_log_through_an_overlap(sqlite_store: Store) -> None:
    (old,) = keyring.load(sqlite_store.keys).log_verifiers()
    ring = sqlite_store.change(rotate(Purpose.LOG))
    new = ring.log_verifiers()[1]
    both = sqlite_store.anchor.read_bytes()
    for reader in (old, new):
        assert open_checkpoint(both, [reader]).checkpoint.size == 1
    sqlite_store.change(retire(Purpose.LOG))
    alone = sqlite_store.anchor.read_bytes()
    assert open_checkpoint(alone, [new]).checkpoint.size == 2
    with pytest.raises(NotProven):
        open_checkpoint(alone, [old])


def test_a_compromised_log_key_signs_the_handover_and_nothing_after_it(
    sqlite_store: Store,
) -> None:
    ring = keyring.load(sqlite_store.keys)
    (old,) = ring.log_verifiers()
    sqlite_store.change(revoke(active(ring, Purpose.LOG)))
    handover = open_checkpoint(sqlite_store.anchor.read_bytes(), [old])
    assert handover.checkpoint.size == 1
    with transaction(sqlite_store.engine) as session:
        append(session, [Draft(picture("a"))])
    with pytest.raises(NotProven):
        open_checkpoint(sqlite_store.sign(), [old])
    sqlite_store.check()


@pytest.mark.parametrize("purpose", [Purpose.MARK, Purpose.LOG])
def test_a_log_that_cannot_sign_changes_no_key(sqlite_store: Store, purpose: Purpose) -> None:
    before = sqlite_store.keys.read_bytes()
    sqlite_store.anchor.unlink()
    with pytest.raises(Refused, match="anchor"):
        sqlite_store.change(rotate(purpose))
    assert sqlite_store.keys.read_bytes() == before
    assert sqlite_store.records() == []


def test_a_step_that_is_not_allowed_changes_nothing(sqlite_store: Store) -> None:
    before = sqlite_store.keys.read_bytes()
    with pytest.raises(BadStep):
        sqlite_store.change(retire(Purpose.MARK))
    assert sqlite_store.keys.read_bytes() == before
    assert sqlite_store.records() == []
    sqlite_store.check()

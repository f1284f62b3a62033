"""A key file keeps its secrets to its owner, survives every step, and refuses damage."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from provenance import keyring
from provenance.keyring import BadKeyring, BadStep, ExposedKeyring, Keyring, UnknownKey
from provenance.keys import Key, KeyState, Purpose

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
LOG = "example.com/log"
OWNERS = {Purpose.MARK: "acme", Purpose.LOG: LOG, Purpose.TOKEN: "acme", Purpose.VERDICT: "acme"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


@pytest.fixture
def made(path: Path) -> Keyring:
    return keyring.create(path, OWNERS, now=NOW)


def rotated(ring: Keyring, purpose: Purpose = Purpose.MARK) -> Keyring:
    return keyring.rotate(ring, purpose, OWNERS[purpose], now=LATER)


def state(ring: Keyring, key: Key) -> KeyState:
    return ring.get(key.key_id).state


def test_a_new_file_is_readable_by_its_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        keyring.create(path, OWNERS, now=NOW)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_come_back_as_written(path: Path, made: Keyring) -> None:
    assert keyring.load(path) == made
    for purpose, owner in OWNERS.items():
        key = made.active(purpose, owner)
        assert (key.created, key.activated, key.epoch) == (NOW, NOW, 1)


def test_no_two_keys_share_a_secret_or_an_id(made: Keyring) -> None:
    assert len({key.material for key in made.keys}) == len(OWNERS)
    assert len({key.key_id for key in made.keys}) == len(OWNERS)


def test_create_never_touches_an_existing_file(path: Path, made: Keyring) -> None:
    before = path.read_bytes()
    with pytest.raises(BadKeyring, match="exists"):
        keyring.create(path, OWNERS, now=NOW)
    assert path.read_bytes() == before


def test_a_key_goes_from_active_over_retiring_to_retired(made: Keyring) -> None:
    first = made.active(Purpose.MARK, "acme")
    overlap = rotated(made)
    second = overlap.active(Purpose.MARK, "acme")
    assert (second.epoch, second.activated) == (2, LATER)
    assert second.material != first.material
    assert state(overlap, first) is KeyState.RETIRING
    done = keyring.retire(overlap, Purpose.MARK, "acme")
    assert state(done, first) is KeyState.RETIRED
    assert done.active(Purpose.MARK, "acme") == second
    untouched = [key for key in made.keys if key.purpose is not Purpose.MARK]
    assert [key for key in done.keys if key.purpose is not Purpose.MARK] == untouched


def test_one_overlap_at_a_time(made: Keyring) -> None:
    overlap = rotated(made)
    with pytest.raises(BadStep, match=r"key acme\.1\.\w+ is still retiring"):
        rotated(overlap)
    rotated(overlap, Purpose.LOG)
    done = keyring.retire(overlap, Purpose.MARK, "acme")
    with pytest.raises(BadStep, match="no retiring mark key"):
        keyring.retire(done, Purpose.MARK, "acme")
    assert rotated(done).active(Purpose.MARK, "acme").epoch == 3


def test_a_prepared_key_signs_nothing_until_the_rotation_that_makes_it_active(
    made: Keyring,
) -> None:
    ahead = keyring.prepare(made, Purpose.LOG, LOG, now=NOW)
    pending = ahead.keys[-1]
    assert (pending.state, pending.activated) == (KeyState.PENDING, None)
    assert ahead.log_signers() == made.log_signers()
    assert ahead.log_verifiers() == made.log_verifiers()
    with pytest.raises(BadStep, match="pending log key already"):
        keyring.prepare(ahead, Purpose.LOG, LOG, now=NOW)
    turned = rotated(ahead, Purpose.LOG)
    assert turned.active(Purpose.LOG, LOG).material == pending.material
    assert len(turned.log_signers()) == 2


def test_the_log_signs_with_both_keys_while_one_retires(made: Keyring) -> None:
    (old,) = made.log_signers()
    overlap = rotated(made, Purpose.LOG)
    assert overlap.log_signers()[0] == old
    assert {signer.name for signer in overlap.log_signers()} == {LOG}
    done = keyring.retire(overlap, Purpose.LOG, LOG)
    assert done.log_signers() == overlap.log_signers()[1:]
    assert old.verifier in done.log_verifiers()


def test_a_compromised_active_key_has_a_successor_at_once(made: Keyring) -> None:
    lost = made.active(Purpose.LOG, LOG)
    ring = keyring.revoke(made, lost.key_id, since=NOW, now=LATER)
    assert state(ring, lost) is KeyState.COMPROMISED
    assert ring.get(lost.key_id).compromised == NOW
    assert ring.active(Purpose.LOG, LOG).epoch == 2
    assert len(ring.log_signers()) == 1
    assert len(ring.log_verifiers()) == 2


def test_a_compromised_key_never_comes_back(made: Keyring) -> None:
    lost = made.active(Purpose.MARK, "acme")
    ring = keyring.revoke(made, lost.key_id, since=LATER, now=LATER)
    ring = keyring.retire(rotated(ring), Purpose.MARK, "acme")
    assert state(ring, lost) is KeyState.COMPROMISED
    with pytest.raises(BadStep, match="compromised already"):
        keyring.revoke(ring, lost.key_id, since=LATER, now=LATER)
    earlier = keyring.revoke(ring, lost.key_id, since=NOW, now=LATER)
    assert earlier.get(lost.key_id).compromised == NOW
    assert len(earlier.keys) == len(ring.keys)


@pytest.mark.parametrize("since", [NOW - timedelta(seconds=1), LATER + timedelta(seconds=1)])
def test_a_compromise_lies_between_the_making_of_the_key_and_now(
    made: Keyring, since: datetime
) -> None:
    with pytest.raises(BadStep, match="between that and now"):
        keyring.revoke(made, made.keys[0].key_id, since=since, now=LATER)


def test_states_say_what_is_looked_for(made: Keyring) -> None:
    lost = made.active(Purpose.MARK, "acme")
    ring = keyring.revoke(made, lost.key_id, since=NOW, now=LATER)
    assert [k.state for k in ring.marks().keys] == [KeyState.COMPROMISED, KeyState.ACTIVE]
    assert ring.marks().active("acme").epoch == 2
    assert ring.marks().active("acme").key_id == ring.active(Purpose.MARK, "acme").key_id
    overlap = rotated(ring, Purpose.TOKEN)
    assert len(overlap.checking(Purpose.TOKEN)) == 2
    assert len(keyring.retire(overlap, Purpose.TOKEN, "acme").checking(Purpose.TOKEN)) == 1
    stolen = overlap.active(Purpose.TOKEN, "acme").key_id
    assert stolen not in [
        k.key_id
        for k in keyring.revoke(overlap, stolen, since=LATER, now=LATER).checking(Purpose.TOKEN)
    ]


def test_a_claim_key_comes_with_its_public_half_and_other_keys_are_made_here(
    made: Keyring,
) -> None:
    public = bytes(range(32))
    claim = partial(keyring.rotate, purpose=Purpose.CLAIM, owner="acme", now=LATER)
    ring = claim(made, material=public)
    key = ring.active(Purpose.CLAIM, "acme")
    assert (key.material, key.key_id) == (public, "acme.claim.1.00010203")
    with pytest.raises(BadStep, match="claim key, and no other"):
        claim(made)
    with pytest.raises(BadStep, match="claim key, and no other"):
        keyring.rotate(made, Purpose.MARK, "acme", now=LATER, material=public)
    with pytest.raises(BadStep, match="claim key, and no other"):
        keyring.revoke(ring, key.key_id, since=LATER, now=LATER)
    after = keyring.revoke(ring, key.key_id, since=LATER, now=LATER, material=b"n" * 32)
    assert after.active(Purpose.CLAIM, "acme").material == b"n" * 32
    with pytest.raises(BadStep, match="needs no successor"):
        keyring.revoke(after, key.key_id, since=NOW, now=LATER, material=b"m" * 32)
    ahead = keyring.prepare(ring, Purpose.CLAIM, "acme", now=LATER, material=b"n" * 32)
    with pytest.raises(BadStep, match="it comes next, not another"):
        claim(ahead, material=b"m" * 32)


def test_an_unknown_key_or_owner_has_its_own_error(path: Path, made: Keyring) -> None:
    with pytest.raises(UnknownKey, match=r"acme\.9"):
        made.get("acme.9.00000000")
    with pytest.raises(UnknownKey, match="nobody"):
        made.active(Purpose.MARK, "nobody")
    with pytest.raises(UnknownKey, match="nobody"):
        made.marks().active("nobody")
    before = path.read_bytes()
    with pytest.raises(UnknownKey):
        keyring.change(path, partial(keyring.revoke, key_id="acme.9.0", since=NOW, now=NOW))
    assert path.read_bytes() == before


@pytest.mark.parametrize("owner", ["", "Acme", "a b", "a.b", "-a", "a" * 64, "ä"])
def test_an_owner_without_a_proper_name_gets_no_key(made: Keyring, owner: str) -> None:
    with pytest.raises(BadStep, match="cannot make a mark key"):
        keyring.rotate(made, Purpose.MARK, owner, now=LATER)


def test_there_is_one_log(made: Keyring) -> None:
    with pytest.raises(BadKeyring, match="two logs"):
        keyring.rotate(made, Purpose.LOG, "example.com/other", now=LATER)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_reach_is_refused(path: Path, made: Keyring, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(ExposedKeyring, match="keyring.json"):
        keyring.load(path)


def test_a_dead_writers_left_over_is_replaced(path: Path, made: Keyring) -> None:
    path.with_name("keyring.json.new").write_text("half")
    assert keyring.change(path, rotated) == keyring.load(path)
    assert [p.name for p in path.parent.iterdir()] == ["keyring.json"]


def test_writers_at_the_same_time_lose_no_key(path: Path, made: Keyring) -> None:
    def add(ring: Keyring, tenant: str) -> Keyring:
        return keyring.rotate(ring, Purpose.MARK, tenant, now=LATER)

    tenants = [f"tenant-{i}" for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        steps = [partial(add, tenant=tenant) for tenant in tenants]
        for written in [pool.submit(keyring.change, path, step) for step in steps]:
            written.result()
    owners = [key.owner for key in keyring.load(path).checking(Purpose.MARK)]
    assert sorted(owners) == sorted(["acme", *tenants])


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(BadKeyring, match="keyring.json"):
        keyring.load(path)
    with pytest.raises(BadKeyring, match="nowhere"):
        keyring.create(path.parent / "nowhere" / "k.json", OWNERS, now=NOW)


def document(ring: Keyring) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(keyring.format_keyring(rotated(ring)))
    return loaded


def dump(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("material", "00" * 32),
        ("material", "00" * 31),
        ("material", "zz"),
        ("material", 7),
        ("key_id", "acme.2.00000000"),
        ("purpose", "token"),
        ("purpose", "fun"),
        ("owner", "other"),
        ("owner", 1),
        ("epoch", 3),
        ("epoch", "2"),
        ("epoch", True),
        ("state", "fine"),
        ("state", "pending"),
        ("state", "compromised"),
        ("compromised", "2026-01-02T03:04:05+00:00"),
        ("activated", None),
        ("created", "2026-01-02T03:04:05"),
        ("created", "2026-01-02T03:04:05.5+00:00"),
        ("created", "2026-01-02T03:04:05+01:00"),
        ("created", "yesterday"),
        ("created", None),
    ],
)
def test_a_row_with_one_thing_wrong_is_refused(made: Keyring, field: str, value: object) -> None:
    good = document(made)
    assert keyring.format_keyring(keyring.parse(dump(good))) == dump(good)
    assert good["keys"][0]["state"] == "retiring"
    good["keys"][-1][field] = value
    with pytest.raises(BadKeyring):
        keyring.parse(dump(good))


def first_twice(rows: list[Any]) -> None:
    rows.append(rows[0])


def two_active(rows: list[Any]) -> None:
    rows[0]["state"] = "active"


def another_field(rows: list[Any]) -> None:
    rows[0]["note"] = "mine"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (first_twice, "same key twice"),
        (two_active, "two active mark keys of acme"),
        (another_field, "not as it was written"),
        (list.clear, "no keys"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    made: Keyring, spoil: Callable[[list[Any]], None], says: str
) -> None:
    good = document(made)
    spoil(good["keys"])
    with pytest.raises(BadKeyring, match=says):
        keyring.parse(dump(good))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"format": "countermark-keyring/2"}',
        b"[" * 9**5,
    ],
)
def test_what_is_not_a_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadKeyring):
        keyring.parse(data)


def test_every_cut_of_a_file_is_refused(made: Keyring) -> None:
    data = keyring.format_keyring(made)
    for end in range(len(data)):
        with pytest.raises(BadKeyring):
            keyring.parse(data[:end])


def test_an_error_says_nothing_secret(path: Path, made: Keyring) -> None:
    good = document(made)
    secret = str(good["keys"][-1]["material"])
    good["keys"][-1]["key_id"] = "acme.2.00000000"
    path.write_bytes(dump(good))
    with pytest.raises(BadKeyring) as caught:
        keyring.load(path)
    assert secret not in str(caught.value)
    assert secret not in repr(made)

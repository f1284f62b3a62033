"""A key file keeps its secrets to its owner, survives rotation, and refuses damage."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance.watermark import keyring
from provenance.watermark.errors import BadKeyring, ExposedKeyring, UnknownKey
from provenance.watermark.keys import KeyState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


def test_a_new_file_is_readable_by_its_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        keyring.create(path, "acme", now=NOW)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_come_back_as_written(path: Path) -> None:
    made = keyring.create(path, "acme", now=NOW)
    assert keyring.load(path) == made
    assert made.active("acme").created == NOW
    assert len(made.active("acme").secret) == 32


def test_create_never_touches_an_existing_file(path: Path) -> None:
    keyring.create(path, "acme", now=NOW)
    before = path.read_bytes()
    with pytest.raises(BadKeyring, match="exists"):
        keyring.create(path, "acme", now=NOW)
    assert path.read_bytes() == before


def test_rotation_retires_the_old_key_and_keeps_it(path: Path) -> None:
    first = keyring.create(path, "acme", now=NOW).active("acme")
    keyring.rotate(path, "other", now=NOW)
    rotated = keyring.rotate(path, "acme", now=NOW)
    assert rotated.active("acme").epoch == 2
    assert rotated.active("acme").secret != first.secret
    assert rotated.get(first.key_id).state is KeyState.RETIRED
    assert rotated.active("other").epoch == 1
    assert keyring.load(path) == rotated


def test_a_revoked_key_is_kept_and_never_marks_again(path: Path) -> None:
    key = keyring.create(path, "acme", now=NOW).active("acme")
    revoked = keyring.revoke(path, key.key_id)
    assert revoked.get(key.key_id).state is KeyState.REVOKED
    with pytest.raises(UnknownKey, match="acme"):
        revoked.active("acme")
    assert keyring.rotate(path, "acme", now=NOW).get(key.key_id).state is KeyState.REVOKED


def test_an_unknown_key_or_tenant_has_its_own_error(path: Path) -> None:
    made = keyring.create(path, "acme", now=NOW)
    with pytest.raises(UnknownKey, match=r"acme\.9"):
        made.get("acme.9.00000000")
    with pytest.raises(UnknownKey, match="nobody"):
        made.active("nobody")
    before = path.read_bytes()
    with pytest.raises(UnknownKey):
        keyring.revoke(path, "acme.9.00000000")
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    keyring.create(path, "acme", now=NOW)
    path.chmod(mode)
    with pytest.raises(ExposedKeyring, match="keyring.json"):
        keyring.load(path)


def test_a_dead_writers_left_over_is_replaced(path: Path) -> None:
    keyring.create(path, "acme", now=NOW)
    path.with_name("keyring.json.new").write_text("half")
    assert keyring.rotate(path, "acme", now=NOW) == keyring.load(path)
    assert [p.name for p in path.parent.iterdir()] == ["keyring.json"]


def test_writers_at_the_same_time_lose_no_key(path: Path) -> None:
    keyring.create(path, "acme", now=NOW)
    with ThreadPoolExecutor(8) as pool:
        for written in [pool.submit(keyring.rotate, path, "acme", now=NOW) for _ in range(16)]:
            written.result()
    assert [key.epoch for key in keyring.load(path).keys] == list(range(1, 18))


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(BadKeyring, match="keyring.json"):
        keyring.load(path)
    with pytest.raises(BadKeyring, match="nowhere"):
        keyring.create(path.parent / "nowhere" / "k.json", "acme", now=NOW)


GOOD_ROWS = 2


def document(path: Path) -> dict[str, list[dict[str, object]]]:
    keyring.create(path, "acme", now=NOW)
    keyring.rotate(path, "acme", now=NOW)
    loaded: dict[str, list[dict[str, object]]] = json.loads(path.read_bytes())
    assert len(loaded["keys"]) == GOOD_ROWS
    return loaded


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("secret", "00" * 32),
        ("secret", "zz"),
        ("secret", 7),
        ("key_id", "acme.2.00000000"),
        ("tenant", "other"),
        ("epoch", 3),
        ("epoch", "2"),
        ("state", "fine"),
        ("created", "2026-01-02T03:04:05"),
        ("created", "yesterday"),
    ],
)
def test_a_row_with_one_thing_wrong_is_refused(path: Path, field: str, value: object) -> None:
    good = document(path)
    assert keyring.parse(json.dumps(good).encode()) == keyring.load(path)
    good["keys"][1][field] = value
    with pytest.raises(BadKeyring):
        keyring.parse(json.dumps(good).encode())


def test_duplicates_are_refused(path: Path) -> None:
    good = document(path)
    twice = {**good, "keys": [*good["keys"], good["keys"][0]]}
    with pytest.raises(BadKeyring, match="twice"):
        keyring.parse(json.dumps(twice).encode())
    good["keys"][0]["state"] = "active"
    with pytest.raises(BadKeyring, match="two active"):
        keyring.parse(json.dumps(good).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"format": "countermark-keyring/1"}']
)
def test_what_is_not_a_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadKeyring):
        keyring.parse(data)


def test_every_cut_of_a_file_is_refused(path: Path) -> None:
    data = json.dumps(document(path)).encode()
    for end in range(len(data)):
        with pytest.raises(BadKeyring):
            keyring.parse(data[:end])


def test_an_error_says_nothing_secret(path: Path) -> None:
    good = document(path)
    secret = str(good["keys"][1]["secret"])
    good["keys"][1]["key_id"] = "acme.2.00000000"
    path.write_bytes(json.dumps(good).encode())
    with pytest.raises(BadKeyring) as caught:
        keyring.load(path)
    assert secret not in str(caught.value)

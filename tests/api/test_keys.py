"""Keys that are rotated, retired or lost count at once, without a restart; a lost file for none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from api.keys import LOOK, Keys
from api.problems import Problem
from provenance import keyring
from provenance.keyring import BadKeyring, Keyring
from provenance.keys import KeyState, Purpose
from provenance.pictures import OWNER
from tests.api.installations import Installed, installed, make_keys

LOGS = "example.com/log"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_keys(tmp_path)
    return tmp_path / "keys.json"


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Iterator[Installed]:
    """An installation whose keys a test may change."""
    with installed(tmp_path) as found:
        made = Keys(tmp_path / "keys.json", clock=clock)
        object.__setattr__(found.app.state.installation, "keys", made)
        yield found


def rotate(file: Path, purpose: Purpose, owner: str) -> Keyring:
    step = partial(keyring.rotate, purpose=purpose, owner=owner, now=datetime.now(UTC))
    return keyring.change(file, step)


def test_the_file_is_looked_at_once_in_a_while(file: Path, clock: Clock) -> None:
    keys = Keys(file, clock=clock)
    first = keys.now()
    rotate(file, Purpose.TOKEN, OWNER)
    clock.now = LOOK / 2
    assert keys.now() is first
    clock.now = LOOK
    second = keys.now()
    assert [key.epoch for key in second.tokens] == [2, 1]
    clock.now = 10 * LOOK
    assert keys.now() is second


def test_a_lost_token_key_is_accepted_no_more(file: Path, clock: Clock) -> None:
    keys = Keys(file, clock=clock)
    (active,) = keys.now().tokens
    now = datetime.now(UTC)
    keyring.change(file, partial(keyring.revoke, key_id=active.key_id, since=now, now=now))
    clock.now = LOOK
    (successor,) = keys.now().tokens
    assert (successor.epoch, successor.state) == (2, KeyState.ACTIVE)


def test_a_file_that_cannot_be_read_lets_nobody_in_until_it_can(file: Path, clock: Clock) -> None:
    keys, good = Keys(file, clock=clock), file.read_bytes()
    first = keys.now()
    for harm in (lambda: file.write_bytes(good[:-5]), file.unlink):
        harm()
        clock.now += LOOK
        for _ in range(2):
            with pytest.raises(Problem, match="cannot be read"):
                keys.now()
        file.write_bytes(good)
        file.chmod(0o600)
        clock.now += LOOK
        assert keys.now() == first


def test_a_door_without_keys_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(BadKeyring):
        Keys(tmp_path / "keys.json")


def test_api_keys_of_a_rotated_and_then_retired_token_key(own: Installed, clock: Clock) -> None:
    file, before = own.settings.data / "keys.json", own.key()
    own.ring = rotate(file, Purpose.TOKEN, OWNER)
    after = own.key()
    assert own.client.get("/v1/models", headers=after).status_code == 401
    clock.now += LOOK
    for key in (before, after):
        assert own.client.get("/v1/models", headers=key).status_code == 200
    keyring.change(file, partial(keyring.retire, purpose=Purpose.TOKEN, owner=OWNER))
    clock.now += LOOK
    assert own.client.get("/v1/models", headers=before).status_code == 401
    assert own.client.get("/v1/models", headers=after).status_code == 200


def test_a_rotated_log_key_is_told(own: Installed, clock: Clock) -> None:
    first = own.client.get("/v1/log/keys").json()
    rotate(own.settings.data / "keys.json", Purpose.LOG, LOGS)
    clock.now += LOOK
    second = own.client.get("/v1/log/keys").json()
    assert first != second
    assert str(first["keys"][0]) in str(second)


def test_without_readable_keys_the_door_says_so_and_lives(own: Installed, clock: Clock) -> None:
    (own.settings.data / "keys.json").unlink()
    clock.now += LOOK
    refused = own.client.get("/v1/models", headers=own.key())
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "keys.json" not in refused.text
    assert own.client.get("/health").status_code == 200

"""Coins are a pure function of a secret and a domain, equal to the vectors on file."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.watermark.keys import Domain, Key, KeyState, coins, coins_at, list_for, values

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/watermark_keys.json").read_text())
NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = Key(bytes(range(32)), "acme", 1, KeyState.ACTIVE, NOW)
DOMAIN = Domain("pairs/1", "raster-128", b"\x01" * 32, 3, 2, "rgb")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_coins_equal_the_vectors_on_file(vector: dict[str, object]) -> None:
    fields = dict(vector)
    key = Key(
        bytes.fromhex(str(fields["secret"])),
        str(fields["tenant"]),
        int(str(fields["epoch"])),
        KeyState.ACTIVE,
        NOW,
    )
    domain = Domain(
        str(fields["scheme"]),
        str(fields["model"]),
        bytes.fromhex(str(fields["codec_digest"])),
        int(str(fields["list_index"])),
        int(str(fields["scale"])),
        str(fields["stream"]),
    )
    expected = fields["values"]
    assert isinstance(expected, list)
    assert [f"{v:016x}" for v in values(key, domain, len(expected)).tolist()] == expected
    assert key.key_id == fields["key_id"]
    assert list_for(key, "request-1", 1000) == fields["list_of_1000_for_request_1"]


def test_a_value_does_not_depend_on_how_many_are_asked_for() -> None:
    assert np.array_equal(values(KEY, DOMAIN, 100)[:13], values(KEY, DOMAIN, 13))


@pytest.mark.parametrize(
    "other",
    [
        replace(DOMAIN, scheme="pairs/2"),
        replace(DOMAIN, model="raster-256"),
        replace(DOMAIN, codec_digest=b"\x02" * 32),
        replace(DOMAIN, list_index=4),
        replace(DOMAIN, scale=3),
        replace(DOMAIN, stream="depth"),
        replace(DOMAIN, scheme="pairs/1r", model="aster-128"),
    ],
)
def test_every_field_of_the_domain_changes_about_half_the_coins(other: Domain) -> None:
    changed = coins(KEY, DOMAIN, 4096) != coins(KEY, other, 4096)
    assert 0.45 < changed.mean() < 0.55


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, secret=bytes(range(1, 33))),
        replace(KEY, tenant="acmf"),
        replace(KEY, epoch=2),
    ],
)
def test_tenants_and_epochs_have_coins_of_their_own(other: Key) -> None:
    changed = coins(KEY, DOMAIN, 4096) != coins(other, DOMAIN, 4096)
    assert 0.45 < changed.mean() < 0.55


def test_some_coins_are_those_that_all_are_tossed_with() -> None:
    places = np.array([4095, 0, 17, 17, 8, 1])
    assert np.array_equal(coins_at(KEY, DOMAIN, places), coins(KEY, DOMAIN, 4096)[places])
    assert not len(coins_at(KEY, DOMAIN, places[:0]))


def test_a_keys_state_does_not_change_its_coins() -> None:
    retired = replace(KEY, state=KeyState.RETIRED)
    assert np.array_equal(values(KEY, DOMAIN, 64), values(retired, DOMAIN, 64))


@given(st.floats(0.01, 0.99))
def test_gamma_is_the_exact_share_of_the_64_bit_values(gamma: float) -> None:
    drawn = values(KEY, DOMAIN, 512).tolist()
    exact = [v * gamma.as_integer_ratio()[1] < gamma.as_integer_ratio()[0] * 2**64 for v in drawn]
    assert coins(KEY, DOMAIN, 512, gamma).tolist() == exact


def test_lists_of_a_pool_are_used_evenly() -> None:
    used = np.bincount([list_for(KEY, f"request {i}", 8) for i in range(8000)], minlength=8)
    assert used.min() > 850
    assert used.max() < 1150


def test_a_secret_is_not_shown() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("secret", b"x" * 15),
        ("secret", b"x" * 65),
        ("tenant", "A/../b"),
        ("tenant", ""),
        ("epoch", 0),
        ("created", datetime(2026, 1, 2)),  # noqa: DTZ001
    ],
)
def test_a_key_with_one_thing_wrong_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"secret|tenant|epoch|time zone"):
        replace(KEY, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("gamma", [0.0, 1.0, -0.5, float("nan")])
def test_gamma_outside_its_range_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma"):
        coins(KEY, DOMAIN, 8, gamma)

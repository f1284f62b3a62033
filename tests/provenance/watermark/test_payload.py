"""A number comes back, or nothing does; presence is tested as without it."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.watermark.colouring import green, independent
from provenance.watermark.detect import Bank, Outcome, View, detect
from provenance.watermark.errors import BadColouring
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.payload import GatedBank, Payload, only
from provenance.watermark.scheme import Scheme
from provenance.watermark.statistics import Stakes, Test, stake

CODES = 1024
SCHEME = Scheme("test/1", "model", b"codec", independent(CODES))
NUMBER = 0xC0FFEE42


class Grid(NamedTuple):
    tokens: NDArray[np.int64]
    margin: NDArray[np.float32]


def key(seed: int = 0) -> Key:
    secret = np.random.default_rng(seed).bytes(32)
    return Key(secret, "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))


def drawn(payload: Payload, number: int, tokens: int, wrong: float) -> NDArray[np.int64]:
    """Tokens in the payload's green codes, but for a share that is drawn from the red ones."""
    rng = np.random.default_rng(number)
    favoured = green(payload.scheme.colouring, payload.coins(key(), 0, number))
    lists = np.flatnonzero(favoured), np.flatnonzero(~favoured)
    return np.array([rng.choice(lists[int(rng.random() < wrong)]) for _ in range(tokens)])


def stakes(payload: Payload, tokens: NDArray[np.int64]) -> Stakes:
    return stake(Test.WEIGHTED, payload.scheme.joint, tokens, np.ones(len(tokens)))


@pytest.mark.parametrize(("bits", "number"), [(32, NUMBER), (32, 0), (40, 2**40 - 1)])
def test_a_number_comes_back_through_noise_with_its_bound(bits: int, number: int) -> None:
    payload = Payload(SCHEME, bits)
    message = payload.read(key(), 0, stakes(payload, drawn(payload, number, 400, 0.05)))
    assert message.number == number
    assert message.p <= 1e-6


def test_without_enough_units_no_number_is_given() -> None:
    payload = Payload(SCHEME)
    few = payload.read(key(), 0, stakes(payload, drawn(payload, NUMBER, 40, 0)))
    assert (few.number, few.p) == (None, 1.0)
    assert few.units < 32
    noisy = payload.read(key(), 0, stakes(payload, drawn(payload, NUMBER, 100, 0.3)))
    assert noisy.number is None
    assert noisy.p > 1e-6


def test_another_key_or_list_reads_no_number() -> None:
    payload = Payload(Scheme("test/1", "model", b"codec", independent(CODES), lists=2))
    seen = stakes(payload, drawn(payload, NUMBER, 400, 0))
    assert payload.read(key(), 0, seen).number == NUMBER
    assert payload.read(key(1), 0, seen).number is None
    assert payload.read(key(), 1, seen).number is None


@pytest.mark.parametrize("wrong", [0.3, 0.5])
def test_a_wrong_number_passes_no_more_often_than_its_bound_says(wrong: float) -> None:
    payload, runs, level = Payload(SCHEME, 8), 200, 0.1
    passed = 0
    for number in range(runs):
        seen = stakes(payload, drawn(payload, number, 100, wrong))
        found = payload.read(key(), 0, seen, threshold=level).number
        passed += found is not None and found != number
    assert passed <= runs * level + 3 * (runs * level * (1 - level)) ** 0.5


def test_only_carrying_units_depend_on_the_number() -> None:
    payload = Payload(SCHEME)
    one, other = payload.coins(key(), 0, NUMBER), payload.coins(key(), 0, NUMBER ^ 5)
    plain = SCHEME.coins(key(), 0)
    assert (one[~payload.carrying] == plain[~payload.carrying]).all()
    assert 0.4 < (one != other)[payload.carrying].mean() < 0.6
    assert 0.4 < payload.carrying.mean() < 0.6


def test_coins_of_a_payload_never_change() -> None:
    fixed = Key(bytes(range(32)), "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
    coins = Payload(SCHEME).coins(fixed, 0, NUMBER)
    assert np.packbits(coins)[:16].tobytes().hex() == "a718dca4fde85600f0546f4d4ee91546"


def test_presence_is_found_in_the_other_units_whatever_the_number() -> None:
    payload = Payload(SCHEME)
    tokens = drawn(payload, NUMBER, 256, 0.1).reshape(16, 16)
    view = View(b"codec", "as it is", (Grid(tokens, np.ones((16, 16), np.float32)),))
    gated, plain = GatedBank(payload, [key()]), Bank(SCHEME, [key()])
    finding = detect([view], [gated], planned=1, test=Test.WEIGHTED)
    assert finding.outcome is Outcome.DETECTED
    assert finding.match is not None
    assert finding.match.evidence.green > 0.8 * finding.match.evidence.scored
    every = plain.stake(Test.WEIGHTED, view)
    carried = only(every, payload.carrying)
    assert finding.units + len(carried.unit) == len(every.unit)


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Payload(SCHEME, 32).coins(key(), 0, 2**32)
    with pytest.raises(ValueError, match="8 to 40"):
        Payload(SCHEME, 41)
    with pytest.raises(BadColouring, match="fair"):
        Payload(Scheme("test/1", "model", b"codec", independent(CODES, 0.25)))

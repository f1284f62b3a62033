"""A number comes back, or nothing does; presence is tested as without it."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.watermark.colouring import green, independent
from provenance.watermark.detect import Bank, GatedBank, Outcome, View, detect
from provenance.watermark.errors import BadColouring
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.payload import NO_NUMBER, Payload, only
from provenance.watermark.scheme import Scheme
from provenance.watermark.statistics import Stakes, Test, attained, stake, weigh

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
    plain = Bank(SCHEME, [key()], payload=payload)
    gated = GatedBank(plain)
    finding = detect([view], [gated], planned=1, test=Test.WEIGHTED)
    assert finding.outcome is Outcome.DETECTED
    assert finding.match is not None
    assert finding.match.evidence.green > 0.8 * finding.match.evidence.scored
    every = plain.stake(Test.WEIGHTED, view)
    carried = only(every, payload.carrying)
    assert finding.units + len(carried.unit) == len(every.unit)


def both(payload: Payload, own: Key) -> list[Bank]:
    """What detection searches for marks with and without a number."""
    plain = Bank(payload.scheme, [own], payload=payload)
    return [plain, GatedBank(plain)]


def view(tokens: NDArray[np.int64]) -> View:
    grid = Grid(tokens.reshape(16, 16), np.ones((16, 16), np.float32))
    return View(b"codec", "as it is", (grid,))


def test_no_number_is_the_plain_mark() -> None:
    payload = Payload(SCHEME)
    assert (payload.coins(key(), 0, NO_NUMBER) == SCHEME.coins(key(), 0)).all()


@pytest.mark.parametrize(
    ("number", "carried"), [(NUMBER, NUMBER), (1, 1), (NO_NUMBER, None), (2**32 - 1, 2**32 - 1)]
)
def test_a_search_reads_the_number_and_counts_both_ways_to_look(
    number: int, carried: int | None
) -> None:
    payload = Payload(SCHEME)
    seen = view(drawn(payload, number, 256, 0.02))
    finding = detect([seen], both(payload, key()), planned=3, test=Test.WEIGHTED)
    assert finding.match is not None
    assert finding.match.number == carried
    assert finding.family.size == 2 * 3
    assert [trials.scheme for trials in finding.family.trials] == [
        "test/1",
        "test/1 with a number",
    ]
    half = 1e3 * finding.match.evidence.p
    [plain] = both(payload, key())[:1]
    alone = detect([seen], [plain], planned=3, test=Test.WEIGHTED)
    assert (alone.p > half) is (carried is not None)


def test_marks_of_a_scheme_without_numbers_carry_none() -> None:
    seen = view(drawn(Payload(SCHEME), NO_NUMBER, 256, 0))
    finding = detect([seen], [Bank(SCHEME, [key()])], planned=1, test=Test.WEIGHTED)
    assert finding.match is not None
    assert (finding.match.message, finding.match.number) == (None, None)
    with pytest.raises(ValueError, match="carry no number"):
        GatedBank(Bank(SCHEME, [key()]))


@pytest.mark.parametrize("gated", [False, True])
def test_presence_with_and_without_a_number_keeps_its_size_over_random_keys(gated: bool) -> None:
    """Tokens that repeat and margins that differ; p must be exact for each of the two tests."""
    payload, rng = Payload(SCHEME), np.random.default_rng(5)
    tokens = (rng.random(256) ** 3 * 300).astype(np.int64).reshape(16, 16)
    seen = View(b"codec", "as it is", (Grid(tokens, rng.random((16, 16), np.float32)),))
    runs, levels = 2000, (0.1, 0.01)
    ps, exact = [], [0.0, 0.0]
    for seed in range(runs):
        bank = both(payload, key(seed))[gated]
        stakes = bank.stake(Test.MARGIN, seen)
        ps.append(weigh(Test.MARGIN, stakes, bank.coins(stakes.unit)[0]).p)
        exact = [attained(stakes, level) for level in levels]
    for level, chance in zip(levels, exact, strict=True):
        hits = sum(p <= level for p in ps)
        assert abs(hits - runs * chance) <= 4 * (runs * chance * (1 - chance)) ** 0.5


def test_the_whole_search_for_both_keeps_its_size_over_random_keys() -> None:
    payload, rng = Payload(SCHEME), np.random.default_rng(6)
    seen = view((rng.random(256) ** 2 * 200).astype(np.int64))
    runs, level = 2000, 0.05
    corrected = [
        detect([seen], both(payload, key(seed)), planned=1, threshold=level).corrected
        for seed in range(runs)
    ]
    hits = sum(p <= level for p in corrected)
    assert 0.2 * runs * level <= hits <= runs * level + 3 * (runs * level) ** 0.5


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Payload(SCHEME, 32).coins(key(), 0, 2**32)
    with pytest.raises(ValueError, match="8 to 40"):
        Payload(SCHEME, 41)
    with pytest.raises(BadColouring, match="fair"):
        Payload(Scheme("test/1", "model", b"codec", independent(CODES, 0.25)))

"""A mark is found under its own key and list, paid for, and never read into what has none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.watermark.colouring import Colouring, independent, pairs
from provenance.watermark.detect import (
    THRESHOLD,
    Bank,
    Finding,
    GatedBank,
    Outcome,
    Reason,
    View,
    detect,
)
from provenance.watermark.errors import BadReading, CodecMismatch
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.payload import Payload
from provenance.watermark.scheme import Scheme
from provenance.watermark.statistics import Test
from tests.provenance.watermark import plain

CODES = 512
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = [Key(bytes([i]) * 32, f"tenant-{i}", 1, KeyState.ACTIVE, NOW) for i in range(1, 4)]
PAIRS = pairs((np.arange(CODES) ^ 1).astype(np.int32))
SCHEME = Scheme("pairs/1", "raster-128", b"c" * 32, PAIRS, lists=4)


@dataclass(frozen=True, eq=False)
class Tokens:
    """A reading without doubts."""

    tokens: NDArray[np.int64]

    @property
    def margin(self) -> NDArray[np.float64]:
        return np.ones(self.tokens.shape)


def unmarked(seed: int, shape: tuple[int, ...] = (16, 16)) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, CODES, shape)


def marked(seed: int, key: Key, index: int, scheme: Scheme = SCHEME) -> NDArray[np.int64]:
    green = scheme.green(key, index)
    tokens = unmarked(seed)
    return np.where(green[tokens], tokens, tokens ^ 1)


def view(tokens: NDArray[np.int64], geometry: str = "as it is", codec: bytes = b"c" * 32) -> View:
    return View(codec, geometry, (Tokens(tokens),))


def search(*views: View, scheme: Scheme = SCHEME, test: Test = Test.MARGIN) -> Finding:
    return detect(views, [Bank(scheme, KEYS)], planned=max(1, len(views)), test=test)


@pytest.mark.parametrize("test", Test)
def test_a_mark_is_found_under_its_key_and_list(test: Test) -> None:
    finding = search(view(marked(0, KEYS[1], 3)), test=test)
    assert finding.outcome is Outcome.DETECTED
    assert finding.match is not None
    assert (finding.match.key_id, finding.match.list_index) == (KEYS[1].key_id, 3)
    assert finding.match.evidence.green == finding.match.evidence.scored
    assert "unconfirmed" in finding.caveat


def test_the_corrected_p_pays_for_keys_lists_and_views() -> None:
    finding = search(view(unmarked(1)), view(unmarked(2), "shift 1,0"))
    assert finding.family.size == 3 * 4 * 2
    assert finding.corrected == min(1.0, finding.p * 24)


@pytest.mark.parametrize("seed", range(20))
def test_an_unmarked_picture_is_not_detected_with_these_keys(seed: int) -> None:
    finding = search(view(unmarked(seed)))
    assert finding.outcome is Outcome.NOT_DETECTED
    assert finding.match is None
    assert finding.caveat.startswith("not with these keys")


def test_another_tenants_mark_is_not_found() -> None:
    stranger = Key(b"s" * 32, "stranger", 1, KeyState.ACTIVE, NOW)
    assert search(view(marked(0, stranger, 0))).outcome is Outcome.NOT_DETECTED


def test_a_mark_under_a_compromised_key_is_reported_as_such() -> None:
    lost = replace(KEYS[0], state=KeyState.COMPROMISED)
    finding = detect([view(marked(0, KEYS[0], 0))], [Bank(SCHEME, [lost])], planned=1)
    assert finding.match is not None
    assert finding.match.key_state is KeyState.COMPROMISED


def test_a_flat_picture_is_inconclusive_even_when_all_green() -> None:
    green = SCHEME.green(KEYS[0], 0)
    tokens = np.flatnonzero(green)[np.arange(256).reshape(16, 16) % 12].astype(np.int64)
    finding = search(view(tokens))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.reason is Reason.TOO_FEW_CODES
    assert finding.units == 12
    assert finding.match is None


def test_as_few_codes_as_can_reach_the_threshold_are_conclusive() -> None:
    codes = np.flatnonzero(SCHEME.green(KEYS[0], 0))
    for units, outcome in ((23, Outcome.INCONCLUSIVE), (24, Outcome.DETECTED)):
        finding = search(view(codes[:units].astype(np.int64)))
        assert finding.outcome is outcome  # 12 trials: 12 * 2^-23 > 1e-6 > 12 * 2^-24


def test_nothing_read_is_inconclusive() -> None:
    finding = search()
    assert (finding.outcome, finding.reason) == (Outcome.INCONCLUSIVE, Reason.NOTHING_READ)
    assert (finding.p, finding.corrected) == (1.0, 1.0)
    empty = search(view(unmarked(0, (0, 0))))
    assert (empty.outcome, empty.p) == (Outcome.INCONCLUSIVE, 1.0)


def test_the_search_stops_at_the_first_view_that_shows_a_mark() -> None:
    looked = []

    def views() -> Iterator[View]:
        for seed in range(5):
            looked.append(seed)
            yield view(marked(9, KEYS[0], 0) if seed == 2 else unmarked(seed), f"shift {seed}")

    finding = detect(views(), [Bank(SCHEME, KEYS)], planned=5)
    assert finding.match is not None
    assert finding.match.geometry == "shift 2"
    assert looked == [0, 1, 2]
    assert finding.family.size == 5 * 12


def test_more_views_than_planned_are_an_error() -> None:
    with pytest.raises(ValueError, match="planned"):
        detect([view(unmarked(0)), view(unmarked(1))], [Bank(SCHEME, KEYS)], planned=1)


def test_several_schemes_share_one_family() -> None:
    other = Scheme("independent/1", "raster-128", b"e" * 32, independent(CODES))
    banks = [Bank(SCHEME, KEYS), Bank(other, KEYS[:2])]
    tokens = np.flatnonzero(other.green(KEYS[1], 0))[:100].astype(np.int64)
    views = [view(unmarked(0)), view(tokens, codec=b"e" * 32)]
    finding = detect(views, banks, planned=1)
    assert finding.family.size == 12 + 2
    assert finding.match is not None
    assert (finding.match.scheme, finding.match.key_id) == ("independent/1", KEYS[1].key_id)


def test_a_codec_that_nobody_can_judge_or_that_was_not_read_is_an_error() -> None:
    with pytest.raises(CodecMismatch, match="6464"):
        search(view(unmarked(0), codec=b"d" * 32))
    other = Scheme("independent/1", "raster-128", b"e" * 32, independent(CODES))
    with pytest.raises(CodecMismatch, match="independent/1"):
        detect([view(unmarked(0))], [Bank(SCHEME, KEYS), Bank(other, KEYS)], planned=1)


def test_scales_are_scored_together_with_coins_of_their_own() -> None:
    scales = replace(SCHEME, scales=3)
    readings = []
    for scale, side in enumerate((4, 6, 8)):
        green, tokens = scales.green(KEYS[0], 1, scale), unmarked(scale, (side, side))
        readings.append(Tokens(np.where(green[tokens], tokens, tokens ^ 1)))
    several = View(b"c" * 32, "as it is", tuple(readings))
    finding = search(several, scheme=scales)
    assert finding.match is not None
    assert finding.match.evidence.green == finding.match.evidence.scored > 64
    with pytest.raises(BadReading, match="1 readings for 3 scales"):
        Bank(scales, KEYS).stake(Test.MARGIN, view(unmarked(0)))
    with pytest.raises(CodecMismatch, match="at 1 scales"):
        search(view(unmarked(0)), scheme=scales)


def test_models_that_share_a_codec_are_told_apart_by_their_scales() -> None:
    """Each is judged by its own views alone, and pays for as many as were planned for it."""
    scales = replace(SCHEME, model="scales-128", scales=2)
    banks = [Bank(SCHEME, KEYS), Bank(scales, KEYS)]
    parts = [unmarked(scale, (8, 8)) for scale in (0, 1)]
    green = [scales.green(KEYS[1], 2, scale) for scale in (0, 1)]
    marked = [np.where(g[t], t, t ^ 1) for g, t in zip(green, parts, strict=True)]
    several = View(b"c" * 32, "as it is", tuple(map(Tokens, marked)))
    planned = {SCHEME.lens: 3, scales.lens: 1}
    finding = detect([view(unmarked(0)), several], banks, planned=planned)
    assert finding.match is not None
    assert (finding.match.model, finding.match.list_index) == ("scales-128", 2)
    assert finding.family.size == len(KEYS) * SCHEME.lists * (3 + 1)
    with pytest.raises(ValueError, match="more than the 1 views"):
        detect([view(unmarked(0)), bare(scales), bare(scales)], banks, planned=planned)
    with pytest.raises(CodecMismatch, match="nothing was read"):
        detect([view(unmarked(0))], banks, planned=planned)
    with pytest.raises(ValueError, match="at least one planned view"):
        detect([several], banks, planned={scales.lens: 1})


def bare(scheme: Scheme) -> View:
    """An unmarked picture as this scheme reads it."""
    readings = tuple(Tokens(unmarked(5 + scale, (8, 8))) for scale in range(scheme.scales))
    return View(scheme.codec_digest, "as it is", readings)


def test_scales_that_read_badly_count_less() -> None:
    """The coarse scale says that the fine one is wrong, or the other way round."""
    equal = replace(SCHEME, scales=2)
    green = [equal.green(KEYS[0], 1, scale) for scale in (0, 1)]
    marked, plain = (
        [np.where(green[scale][t], t, t ^ 1) for scale, t in enumerate(both)]
        for both in ([unmarked(1)] * 2, [unmarked(2)] * 2)
    )
    fine_marked = View(b"c" * 32, "as it is", (Tokens(plain[0] ^ 1), Tokens(marked[1])))
    trusting = [
        search(fine_marked, scheme=replace(equal, worth=worth)).p
        for worth in ((0.1, 1.0), (0.5, 1.0), (), (1.0, 0.5))
    ]
    assert trusting == sorted(trusting)
    assert trusting[0] < 1e-6 < trusting[-1]


def test_unmarked_pictures_reach_a_level_no_oftener_when_scales_are_weighed() -> None:
    scheme = replace(SCHEME, scales=2, worth=(0.25, 1.0), lists=1)
    level, pictures = 0.05, 300
    hits = 0
    for seed in range(pictures):
        key = replace(KEYS[0], secret=seed.to_bytes(32, "big"))
        readings = Tokens(unmarked(7) % 97), Tokens(unmarked(8))
        one = View(b"c" * 32, "as it is", readings)
        hits += detect([one], [Bank(scheme, [key])], planned=1).p <= level
    assert 3 <= hits <= 28  # quantiles of Binomial(300, 0.05) at 0.0001 and 0.999


def test_a_token_of_one_scale_cannot_pass_as_the_next_scales() -> None:
    scales = replace(SCHEME, scales=2)
    bad = View(b"c" * 32, "as it is", (Tokens(np.array([CODES])), Tokens(np.array([0]))))
    with pytest.raises(BadReading, match="tokens"):
        search(bad, scheme=scales)


def test_a_search_without_keys_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a key"):
        Bank(SCHEME, [])


def test_one_coin_for_all_codes_is_never_evidence() -> None:
    one = Colouring(np.zeros(CODES, np.int32), np.ones(CODES, np.int8), 1)
    finding = search(view(unmarked(0)), scheme=replace(SCHEME, colouring=one))
    assert finding.outcome is Outcome.INCONCLUSIVE


def test_few_unmarked_pictures_fall_below_a_level_over_the_whole_search() -> None:
    level, pictures = 0.05, 300
    corrected = [
        search(view(unmarked(seed) % 97), view(unmarked(seed)[::-1] // 7)).corrected
        for seed in range(1000, 1000 + pictures)
    ]
    assert (np.array(corrected) <= level).sum() <= 28  # 0.999 quantile of Binomial(300, 0.05)


@dataclass(frozen=True, eq=False)
class Doubtful:
    """A reading of few, often repeated codes, and of margins that are often equal."""

    tokens: NDArray[np.int64]
    margin: NDArray[np.float32]


def doubtful(rng: np.random.Generator, favoured: NDArray[np.bool_] | None = None) -> Doubtful:
    side = int(rng.integers(4, 17))
    tokens = (rng.random((side, side)) ** rng.integers(1, 5) * CODES).astype(np.int64)
    tokens = rng.permutation(CODES)[tokens]
    if favoured is not None:
        kept = favoured[tokens] | (rng.random(tokens.shape) < 0.1)
        tokens = np.where(kept, tokens, rng.choice(np.flatnonzero(favoured), tokens.shape))
    return Doubtful(tokens, (rng.integers(0, 30, tokens.shape) / 7).astype(np.float32))


@pytest.mark.parametrize(("scales", "worth"), [(1, ()), (2, ()), (2, (0.3, 1.0))])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("test", Test)
def test_every_p_and_match_is_that_of_the_plain_reference(
    test: Test, seed: int, scales: int, worth: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    codec, own = SCHEME.codec_digest, independent(CODES)
    drawings = Scheme("lexical/1", "raster-128", codec, own, lists=4, scales=scales, worth=worth)
    paired = replace(SCHEME, scales=scales)
    uploads = Payload(Scheme("posthoc/2", "raster-128", codec, own, lists=4, scales=scales))
    plain_bank = Bank(uploads.scheme, KEYS[:2], payload=uploads)
    banks = [
        Bank(drawings, KEYS[:2]),
        Bank(paired, KEYS[:2]),
        plain_bank,
        GatedBank(plain_bank),
    ]
    marks = [None, *(scheme.green(KEYS[1], 2) for scheme in (drawings, paired, uploads.scheme))]
    views = []
    for number in range(3):
        shown = marks[rng.integers(len(marks))] if number == seed % 4 else None
        readings = tuple(doubtful(rng, shown) for _ in range(scales))
        views.append(View(codec, f"shift {number}", readings))
    finding = detect(views, banks, planned=3, test=test)
    expected = plain.search(
        views, banks, test=test, family=finding.family.size, threshold=THRESHOLD
    )
    assert finding.p == expected.p
    if finding.match is not None:
        match = finding.match
        found = (match.evidence.p, match.scheme, match.key_id, match.list_index, match.geometry)
        assert found == (
            expected.p,
            expected.scheme,
            expected.key_id,
            expected.list_index,
            expected.geometry,
        )


def test_coins_are_tossed_when_a_view_has_their_unit_and_stay_as_they_fell() -> None:
    scheme = replace(SCHEME, scales=2)
    bank = Bank(scheme, KEYS)
    every = np.stack([scheme.coins(key, index) for key, index in bank.owners])
    some, more = np.array([3, scheme.joint.units - 1]), np.array([0, 3, 5])
    for units in (some, more, np.arange(scheme.joint.units)):
        assert np.array_equal(bank.coins(units)[:, units], every[:, units])
    assert np.array_equal(bank.coins(some), every)

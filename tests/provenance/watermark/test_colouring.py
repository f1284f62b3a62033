"""Who shares a coin with whom."""

import numpy as np
import pytest

from provenance.watermark.colouring import Colouring, clusters, green, independent, opposed, pairs
from provenance.watermark.errors import BadColouring

PARTNER = np.array([3, 2, 1, 0, 5, 4], np.int32)
FLIPS = [np.array(list(np.binary_repr(i, 3)), int).astype(bool) for i in range(8)]


def test_independent_codes_are_green_when_their_coin_is() -> None:
    coins = np.array([1, 0, 0, 1], bool)
    assert np.array_equal(green(independent(4), coins), coins)


@pytest.mark.parametrize("coins", FLIPS, ids=str)
def test_partners_always_have_opposite_colours(coins: np.ndarray) -> None:
    colours = green(pairs(PARTNER), coins)
    assert (colours != colours[PARTNER]).all()


def test_pairs_kept_apart_have_a_coin_each() -> None:
    apart = np.array([1, 0, 0, 0, 0, 0], bool)
    colouring = pairs(PARTNER, apart)
    assert colouring.units == 4
    assert colouring.unit[0] != colouring.unit[3]
    assert (colouring.unit[1], colouring.unit[4]) == (colouring.unit[2], colouring.unit[5])


@pytest.mark.parametrize("coins", FLIPS, ids=str)
def test_a_cluster_has_one_colour(coins: np.ndarray) -> None:
    labels = np.array([7, 7, 2, 9, 2, 2], np.int32)
    colours = green(clusters(labels), coins)
    assert all(len(set(colours[labels == label])) == 1 for label in (2, 7, 9))


def test_neighbouring_clusters_have_opposite_colours() -> None:
    colouring = opposed(np.array([0, 0, 1, 2, 3, 3], np.int32), np.array([1, 0, 3, 2], np.int32))
    assert colouring.units == 2
    colours = green(colouring, np.array([True, False]))
    assert colours.tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unit", np.array([0, 1, 2], np.int32)),
        ("unit", np.array([0, -1], np.int32)),
        ("side", np.array([1], np.int8)),
        ("side", np.array([1, 2], np.int8)),
        ("gamma", 0.25),
        ("gamma", 1.0),
        ("units", 1),
    ],
)
def test_a_colouring_with_one_thing_wrong_is_refused(field: str, value: object) -> None:
    good = {
        "unit": np.array([0, 1], np.int32),
        "side": np.array([0, 1], np.int8),
        "units": 2,
        "gamma": 0.5,
    }
    Colouring(**good)  # type: ignore[arg-type]
    with pytest.raises(BadColouring):
        Colouring(**{**good, field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("partner", [[0, 1], [1, 2, 0], [1, 0, 2]])
def test_what_is_no_matching_makes_no_pairs(partner: list[int]) -> None:
    with pytest.raises(BadColouring):
        pairs(np.array(partner, np.int32))


def test_coins_for_other_units_are_refused() -> None:
    with pytest.raises(BadColouring, match="coins"):
        green(independent(4), np.ones(5, bool))

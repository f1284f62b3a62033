"""Marking and detecting toss the same coins, and scales have coins of their own."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from provenance.watermark.colouring import green, independent, pairs
from provenance.watermark.errors import CodecMismatch
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.scheme import Scheme

KEY = Key(b"k" * 32, "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
PARTNER = (np.arange(64) ^ 1).astype(np.int32)
SCHEME = Scheme("pairs/1", "scales-64", b"c" * 32, pairs(PARTNER), lists=4, scales=3)


def test_what_is_green_when_drawn_is_green_when_detected() -> None:
    shown = green(SCHEME.joint, SCHEME.coins(KEY, 2)).reshape(3, 64)
    assert np.array_equal(shown, [SCHEME.green(KEY, 2, scale) for scale in range(3)])


def test_lists_scales_and_schemes_differ() -> None:
    colours = [SCHEME.green(KEY, index, scale) for index in range(4) for scale in range(3)]
    colours.append(replace(SCHEME, name="pairs/2").green(KEY, 0, 0))
    assert len({tuple(c.tolist()) for c in colours}) == len(colours)


@pytest.mark.parametrize(("index", "scale"), [(4, 0), (-1, 0), (0, 3), (0, -1)])
def test_a_list_or_scale_that_does_not_exist_is_refused(index: int, scale: int) -> None:
    with pytest.raises(ValueError, match="has no list"):
        SCHEME.green(KEY, index, scale)


def test_tokens_of_another_codec_are_refused() -> None:
    SCHEME.check_codec(b"c" * 32)
    with pytest.raises(CodecMismatch, match="pairs/1"):
        SCHEME.check_codec(b"d" * 32)


@pytest.mark.parametrize("field", ["lists", "scales"])
def test_a_scheme_has_at_least_one_list_and_scale(field: str) -> None:
    with pytest.raises(ValueError, match="start at 1"):
        replace(SCHEME, colouring=independent(4), **{field: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("worth", [(1.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 1.5)])
def test_every_scale_has_a_worth_above_0_and_at_most_1(worth: tuple[float, ...]) -> None:
    assert replace(SCHEME, worth=(0.1, 0.5, 1.0)).worth
    with pytest.raises(ValueError, match="worth"):
        replace(SCHEME, worth=worth)

"""A mark is found wherever the plan looks, within the views it pays for."""

from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from provenance.image import Pixels
from provenance.robustness.attacks import attacked, find
from provenance.watermark.colouring import independent
from provenance.watermark.detect import Bank, Outcome, View, detect
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.scheme import Lens, Scheme
from provenance.watermark.search import FULL, QUICK, STANDARD, Plan, Search, Searches
from tests.provenance.watermark.palette import CODES, DIGEST, Palette, Reading, picture, tokens

LENS = Lens(DIGEST, 1)
NATIVE = (128, 128)
PLANS = {plan.name: plan for plan in (QUICK, STANDARD, FULL)}


def search(pixels: Pixels, plan: Plan, native: tuple[int, int] | None = NATIVE) -> Search:
    return Search({LENS: Palette()}, pixels, plan, native=native)


def share_recovered(view: View, sent: torch.Tensor) -> float:
    """The share of a view's tokens that are those sent, at the best place of the sent grid."""
    read = view.readings[0].tokens
    rows, columns = (a - b + 1 for a, b in zip(sent.shape, read.shape, strict=True))
    return max(
        (
            float((sent[i : i + read.shape[0], j : j + read.shape[1]].numpy() == read).mean())
            for i in range(rows)
            for j in range(columns)
        ),
        default=0.0,  # a view with more tokens than were sent
    )


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("native", [None, NATIVE])
@pytest.mark.parametrize(("height", "width"), [(128, 128), (40, 300), (8, 8), (300, 400)])
def test_no_search_looks_more_often_than_it_pays_for(
    plan: Plan, native: tuple[int, int] | None, height: int, width: int
) -> None:
    pixels = np.random.default_rng(0).random((3, height, width), np.float32)
    found = search(pixels, plan, native)
    views = list(found.views())
    assert found.planned == {LENS: plan.looks}
    assert 1 <= len(views) == found.cost.views <= plan.looks
    assert not list(found.views()) or len(views) < plan.looks


@pytest.mark.parametrize(
    ("attack", "plan"),
    [
        ("none", QUICK),
        ("scale-3", QUICK),
        ("shift-1", STANDARD),
        ("shift-3", STANDARD),
        ("flip", STANDARD),
        ("flip+shift-5", STANDARD),
        ("shift-6", FULL),
        ("flip", FULL),
        ("rotate-3", FULL),
        ("rotate--5", FULL),
        ("crop-0.9", FULL),
        ("crop-0.75", FULL),
        ("crop-corner-0.75", FULL),
        ("cut-0.8", FULL),
        ("screenshot", FULL),
        ("contrast-0.75", STANDARD),
        ("contrast-0.75+shift-3", STANDARD),
    ],
)
def test_some_view_undoes_the_attack(attack: str, plan: Plan) -> None:
    sent = tokens(16, 16)
    pixels = attacked(picture(16, 16), find(attack), seed=1)
    shares = [share_recovered(view, sent) for view in search(pixels, plan).views()]
    assert max(shares) > 0.8, shares


@pytest.mark.parametrize("attack", ["none", "shift-3", "scale-0.5", "crop-0.75", "flip"])
def test_a_tiled_picture_of_any_size_is_found_at_its_own_size(attack: str) -> None:
    sent = tokens(40, 56)
    pixels = attacked(picture(40, 56), find(attack), seed=1)
    views = search(pixels, FULL, native=None).views()
    assert max(share_recovered(view, sent) for view in views) > 0.8


def test_the_picture_as_it_is_costs_no_scan() -> None:
    found = search(picture(16, 16), FULL)
    next(found.views())
    assert (found.cost.views, found.cost.scanned) == (1, 0)
    assert found.cost.seconds > 0


def test_a_large_picture_costs_no_more_than_its_busiest_part() -> None:
    reader = Palette()
    pixels = np.random.default_rng(0).random((3, 1500, 1400), np.float32)
    next(Search({LENS: reader}, pixels, QUICK).views())
    assert reader.pixels_read <= 1024 * 1024


def test_no_geometry_is_tested_twice() -> None:
    views = list(search(picture(16, 16), STANDARD).views())
    assert views[0].geometry == "128x128"
    assert len({view.geometry for view in views}) == len(views) == STANDARD.looks


@pytest.mark.parametrize(("height", "width"), [(7, 7), (7, 128)])
def test_a_picture_below_one_token_gives_no_view(height: int, width: int) -> None:
    pixels = np.zeros((3, height, width), np.float32)
    assert not list(search(pixels, FULL, native=None).views())


def test_a_shifted_mark_is_detected_for_the_price_of_the_views_tested() -> None:
    scheme = Scheme("test/1", "palette", DIGEST, independent(CODES))
    key = Key(bytes(range(32)), "acme", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))
    green = np.flatnonzero(scheme.green(key, 0))
    sent = torch.from_numpy(green[tokens(16, 16).numpy() % len(green)])
    drawn = Palette().decode(sent[None])[0].numpy()
    found = search(attacked(drawn, find("shift-3"), seed=0), STANDARD)
    finding = detect(found.views(), [Bank(scheme, [key])], planned=found.planned)
    assert finding.outcome is Outcome.DETECTED
    assert finding.corrected == finding.p * STANDARD.looks
    assert finding.match is not None
    assert finding.match.geometry == "128x128 from 3,3"


def test_a_geometry_is_read_through_every_lens() -> None:
    other = Lens(DIGEST, 2)
    found = Search({LENS: Palette(), other: Twice()}, picture(16, 16), STANDARD, native=NATIVE)
    views = list(found.views())
    assert found.planned == {LENS: STANDARD.looks, other: STANDARD.looks}
    assert [view.lens for view in views] == [LENS, other] * STANDARD.looks
    assert [v.geometry for v in views[::2]] == [v.geometry for v in views[1::2]]
    alone = search(picture(16, 16), STANDARD)
    assert [v.geometry for v in views[::2]] == [v.geometry for v in alone.views()]
    assert found.cost.views == len(views)


class Twice(Palette):
    """The same tokens at two scales."""

    def read(self, pixels: torch.Tensor) -> Reading:
        once = super().read(pixels)
        return once._replace(coarser=(once,))


def test_searches_take_turns_and_pay_for_each_other() -> None:
    other = Lens(b"other" * 4, 1)
    pixels = picture(16, 16)
    one, two = search(pixels, STANDARD), Search({other: Palette()}, pixels, QUICK)
    both = Searches([one, two, search(pixels, QUICK)])
    assert both.planned == {LENS: STANDARD.looks + 1, other: 1}
    views = list(both.views())
    assert [view.lens for view in views[:4]] == [LENS, other, LENS, LENS]
    assert len(views) == both.cost.views == STANDARD.looks + 2
    assert both.cost.scanned == one.cost.scanned > 0


def test_only_so_much_of_a_large_picture_is_read() -> None:
    large = Search({LENS: Palette()}, picture(40, 40), QUICK, largest=64)
    (view,) = large.views()
    assert view.readings[0].tokens.shape == (8, 8)


def test_a_plan_has_a_look() -> None:
    with pytest.raises(ValueError, match="not 0"):
        Plan("none", 0, None)

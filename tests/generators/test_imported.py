import json
from pathlib import Path

import pytest

from generators.catalog import BadWeights
from generators.imported import Card, NotCommercial, check_commercial, read_card, spec_of


def card(**other: object) -> Card:
    """A card of a LlamaGen that was never measured."""
    told: dict[str, object] = {
        "name": "toy",
        "layout": "llamagen",
        "licence": "MIT",
        "classes": 5,
        "tokens": 16,
        "stride": 16,
        "heads": 2,
        "weights": "single",
        "transformer": "00" * 32,
        "codec": "11" * 32,
        "sources": {"a.pt": "22" * 32},
        "read_back": (0.9,),
        "pictures": 4,
        "seconds": 1.5,
        "memory": 1000,
        "added": "2026-11-26T00:00:00Z",
    }
    return Card(**{**told, **other})  # type: ignore[arg-type]


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    place = tmp_path / "toy"
    place.mkdir()
    (place / "card.json").write_bytes(card().text())
    assert read_card(place) == card()
    with pytest.raises(BadWeights, match="its folder is not called so"):
        read_card(place.rename(tmp_path / "other"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is no card of a model"),
        (b"[]", "is no card of the form"),
        (json.dumps({"form": "countermark-model/1"}).encode(), "is no card of a model"),
        (card(layout="gan").text(), "not known"),
    ],
)
def test_what_is_no_card_is_refused(text: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_bytes(text)
    with pytest.raises(BadWeights, match=says):
        read_card(tmp_path)


def test_only_licences_known_to_allow_it_are_commercial() -> None:
    check_commercial(card())
    for licence in ("CC-BY-NC-4.0", "nvidia", "", "mit or so"):
        with pytest.raises(NotCommercial, match="not known to allow commercial use"):
            check_commercial(card(licence=licence))


def test_scales_that_are_never_read_rightly_still_weigh_a_little(tmp_path: Path) -> None:
    spec = spec_of(card(layout="var", read_back=(0.0, 0.5)), tmp_path, commercial=False)
    assert spec.read_back == (0.01, 0.5)
    assert spec.side == 256
    assert spec_of(card(), tmp_path, commercial=False).read_back == (1.0,)

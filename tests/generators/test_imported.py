import json
from pathlib import Path

import pytest

from generators.cards import Card, NotCommercial, check_commercial, read_card
from generators.catalog import BadWeights
from generators.imported import spec_of

READ = {"config.json": "33" * 32, "tokenizer.json": "44" * 32, "model.safetensors": "55" * 32}
BESIDE = {f"encoder/{name}": digest for name, digest in READ.items()}
TEXT = {"prompts": "text", "classes": 0, "beside": BESIDE, "encoder_licence": "Apache-2.0"}
JANUS = {
    "layout": "janus",
    "prompts": "text",
    "classes": 0,
    "beside": {
        f"janus/{name}.json": "66" * 32 for name in ("config", "generation_config", "tokenizer")
    },
}


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


def test_a_card_of_the_first_form_is_read_as_one_by_class(tmp_path: Path) -> None:
    told = json.loads(card().text())
    for new in ("prompts", "beside", "encoder_licence"):
        del told[new]
    place = tmp_path / "toy"
    place.mkdir()
    (place / "card.json").write_text(json.dumps({**told, "form": "countermark-model/1"}))
    assert read_card(place) == card(form="countermark-model/1")
    assert not read_card(place).by_text


def test_a_card_of_the_second_form_names_the_files_of_its_encoder(tmp_path: Path) -> None:
    told = json.loads(card(**TEXT).text())
    del told["beside"]
    place = tmp_path / "toy"
    place.mkdir()
    old = {**told, "encoder": READ, "form": "countermark-model/2"}
    (place / "card.json").write_text(json.dumps(old))
    assert read_card(place) == card(**TEXT, form="countermark-model/2")


def test_a_card_of_a_janus_has_one_licence_and_three_files_beside(tmp_path: Path) -> None:
    place = tmp_path / "toy"
    place.mkdir()
    (place / "card.json").write_bytes(card(**JANUS).text())
    assert read_card(place) == card(**JANUS)
    spec = spec_of(read_card(place), place, commercial=False)
    assert (spec.draws, spec.licence, spec.by_class) == ("what a text says, 256 px", "MIT", False)
    assert (spec.sampling.guidance, spec.sampling.temperature, spec.sampling.top_p) == (5, 1, 1)
    check_commercial(card(**JANUS))
    with pytest.raises(NotCommercial, match="its weights under 'nvidia'"):
        check_commercial(card(**JANUS, licence="nvidia"))


def test_a_card_by_text_is_read_as_it_was_written(tmp_path: Path) -> None:
    place = tmp_path / "toy"
    place.mkdir()
    (place / "card.json").write_bytes(card(**TEXT).text())
    assert read_card(place) == card(**TEXT)
    spec = spec_of(read_card(place), place, commercial=False)
    assert spec.draws == "what a text says, 256 px"
    assert spec.licence == "MIT (weights), Apache-2.0 (text encoder)"
    assert spec_of(card(), place, commercial=False).draws == "one of 5 classes, by number, 256 px"
    assert spec_of(card(), place, commercial=False).licence == "MIT"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is no card of a model"),
        (b"[]", "is no card of the form"),
        (json.dumps({"form": "countermark-model/1"}).encode(), "is no card of a model"),
        (card(layout="gan").text(), "not known"),
        (card(form="countermark-model/4").text(), "is no card of the form"),
        (card(prompts="speech").text(), "prompts or weights that are not known"),
        (card(layout="var", prompts="text").text(), "prompts or weights that are not known"),
        (card(layout="janus").text(), "prompts or weights that are not known"),
        (card(beside=BESIDE).text(), "files that lie beside"),
        (card(**{**TEXT, "beside": {}}).text(), "files that lie beside"),
        (card(**{**TEXT, "layout": "janus"}).text(), "files that lie beside"),
        (card(**{**JANUS, "layout": "llamagen"}).text(), "files that lie beside"),
        (
            card(**{**TEXT, "beside": {**BESIDE, "../card.json": ""}}).text(),
            "files that lie beside",
        ),
        (card(**{**TEXT, "beside": None}).text(), "is no card of a model"),
        (card(**{**TEXT, "beside": [*BESIDE]}).text(), "is no card of a model"),
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
    check_commercial(card(**TEXT))
    for licences in ({"licence": "nvidia"}, {"encoder_licence": "nvidia"}, {"encoder_licence": ""}):
        with pytest.raises(NotCommercial, match="not known to allow commercial use"):
            check_commercial(card(**{**TEXT, **licences}))


def test_scales_that_are_never_read_rightly_still_weigh_a_little(tmp_path: Path) -> None:
    spec = spec_of(card(layout="var", read_back=(0.0, 0.5)), tmp_path, commercial=False)
    assert spec.read_back == (0.01, 0.5)
    assert spec.side == 256
    assert spec_of(card(), tmp_path, commercial=False).read_back == (1.0,)

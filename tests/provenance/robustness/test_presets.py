from pathlib import Path

import pytest

from provenance.robustness.attacks import FAMILIES, PLAIN, find, strength
from provenance.robustness.presets import PRESETS, UnknownPreset, preset

DOCS = (Path(__file__).parents[3] / "docs" / "attacks.md").read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_every_attack_of_a_preset_exists_once_and_the_clean_picture_comes_first(name: str) -> None:
    names = preset(name).names
    assert [attack.name for attack in preset(name).attacks()] == list(names)
    assert len(set(names)) == len(names)
    assert names[0] == "none"


def test_an_unknown_preset_is_one_error_that_lists_the_names() -> None:
    with pytest.raises(UnknownPreset) as error:
        preset("wave")
    assert all(name in str(error.value) for name in PRESETS)


def test_house_holds_the_attacks_the_bars_are_set_at() -> None:
    bars = "none jpeg-50 noise-0.05 blur-kernel-7 brightness-1.5 contrast-1.5 erase-0.1 resize-0.5"
    bars += " crop-0.75 shift-3 flip rotate-3 realesrgan-2 screenshot blur-sigma-2"
    assert set(bars.split()) <= set(preset("house").names)


def test_waves_steps_evenly_to_its_published_ends() -> None:
    ends = {"rotate": (0, 45), "crop": (1, 0.5), "erase": (0, 0.25), "brightness": (1, 2)}
    ends |= {"contrast": (1, 2), "blur-radius": (0, 20), "noise": (0, 0.1), "jpeg": (90, 10)}
    known = [strength(name) for name in preset("waves").names]
    for family, (start, end) in ends.items():
        values = [pair[1] for pair in known if pair is not None and pair[0] == family]
        assert values == pytest.approx([start + (end - start) * k / 5 for k in range(1, 6)])


@pytest.mark.parametrize("name", PRESETS)
def test_the_docs_have_every_preset_with_its_attacks_and_what_is_left_out(name: str) -> None:
    section = DOCS.split(f"### `{name}`")[1].split("###")[0]
    assert preset(name).source in section
    assert all(f"`{attack}`" in section for attack in preset(name).names)
    assert all(missing in section for missing in preset(name).left_out)


@pytest.mark.parametrize("name", [*PLAIN, *FAMILIES])
def test_the_docs_explain_every_attack(name: str) -> None:
    row = f"| `{name}-" if name in FAMILIES else f"| `{name}`"
    assert row in DOCS
    if name in FAMILIES:
        family = FAMILIES[name]
        assert f"| {family.low:g} to {family.high:g}" in DOCS.split(row)[1].split("\n")[0]


def test_chains_of_presets_are_names_too() -> None:
    assert find("rotate-9+crop-0.9+erase-0.05").name in preset("waves").names

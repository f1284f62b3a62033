import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.image import Pixels
from provenance.robustness import files
from provenance.robustness.attacks import (
    FAMILIES,
    PLAIN,
    Attack,
    UnknownAttack,
    attacked,
    find,
    strength,
    through,
)
from provenance.robustness.quality import psnr
from tests.provenance.robustness.pictures import drawing

MIDDLE = {"jpeg": 50, "webp": 50, "blur-kernel": 7, "median": 5, "shift": 3, "realesrgan": 2}
EVERY = [*PLAIN, *(f"{name}-{MIDDLE.get(name, 0.5)}" for name in FAMILIES)]
RANDOM = ["noise-0.1", "salt-pepper-0.1", "brightness-jitter-0.5", "crop-0.5", "crop-aspect-0.5"]
RANDOM += ["perspective-0.5", "erase-0.1", "erase-noise-0.1", "screenshot"]
RESIZING = {"scale-0.5", "cut-0.5"}


@pytest.mark.parametrize("name", EVERY)
def test_every_attack_gives_an_8_bit_picture_and_leaves_its_input_alone(name: str) -> None:
    picture = drawing(height=48, width=64)
    before = picture.copy()
    copy = attacked(picture, find(name), seed=1)
    files.check_pixels(copy)
    assert np.array_equal(copy, files.rounded(copy))
    assert copy.flags.c_contiguous
    assert copy.shape == ((3, 24, 32) if name in RESIZING else picture.shape)
    assert np.array_equal(picture, before)
    assert (name == "none") == np.array_equal(copy, picture)


@pytest.mark.parametrize("name", EVERY)
def test_the_same_seed_gives_the_same_pixels(name: str) -> None:
    one, other = (attacked(drawing(), find(name), seed=5) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_other_pixels(name: str) -> None:
    one, other = (attacked(drawing(), find(name), seed=seed) for seed in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["jpg-50", "jpeg", "flip-2", "", "jpeg-50+", "jpeg-5e1", "Flip"])
def test_a_wrong_name_is_one_error_that_lists_the_names(name: str) -> None:
    with pytest.raises(UnknownAttack) as error:
        find(name)
    assert all(known in str(error.value) for known in (*PLAIN, *FAMILIES))


@pytest.mark.parametrize(
    "name", ["jpeg-0", "jpeg-101", "jpeg-50.5", "blur-kernel-6", "noise--0.1", "crop-1.5"]
)
def test_a_strength_out_of_range_is_an_error_that_says_the_range(name: str) -> None:
    with pytest.raises(UnknownAttack, match="goes from"):
        find(name)


@given(st.sampled_from(sorted(FAMILIES)), st.integers(-1000, 1000))
@settings(max_examples=200, deadline=None)
def test_a_name_is_found_exactly_when_its_strength_is_in_the_family(name: str, n: int) -> None:
    family = FAMILIES[name]
    inside = family.low <= n <= family.high
    if inside and not (family.step and (n - family.low) % family.step):
        assert find(f"{name}-{n}").name == f"{name}-{n}"
        assert strength(f"{name}-{n}") == (name, n)
    else:
        with pytest.raises(UnknownAttack):
            find(f"{name}-{n}")


def test_a_chain_does_its_steps_in_order_and_has_no_strength() -> None:
    picture = drawing()
    chain = attacked(picture, find("brightness-1.5+jpeg-50"), seed=0)
    bright = attacked(picture, find("brightness-1.5"), seed=0)
    assert np.array_equal(chain, files.jpeg(bright, 50))
    assert not np.array_equal(chain, attacked(picture, find("jpeg-50+brightness-1.5"), seed=0))
    assert strength("brightness-1.5+jpeg-50") is None
    assert strength("flip") is None


def test_through_sends_the_picture_through_the_caller_s_codec() -> None:
    def halved(pixels: Pixels) -> Pixels:
        return pixels * np.float32(0.5)

    copy = attacked(drawing(), through("half-codec", halved), seed=0)
    assert np.array_equal(copy, files.rounded(drawing() / 2))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 64, 64)),
        np.zeros((1, 64, 64), np.float32),
        np.zeros((3, 4, 64), np.float32),
        np.full((3, 64, 64), 1.5, np.float32),
        np.full((3, 64, 64), np.nan, np.float32),
    ],
)
def test_what_is_not_a_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels must"):
        attacked(wrong, find("none"), seed=0)


def test_an_attack_that_leaves_no_picture_is_refused() -> None:
    def sliver(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return pixels[:, :2]

    with pytest.raises(ValueError, match="at least 8 x 8"):
        attacked(drawing(), Attack("sliver", sliver), seed=0)


@pytest.mark.parametrize(
    ("family", "weak", "strong"),
    [
        ("jpeg", 90, 10),
        ("noise", 0.02, 0.2),
        ("blur-sigma", 0.5, 4),
        ("resize", 0.9, 0.2),
        ("nonlocal-means", 0.02, 0.3),
        ("bilateral", 0.02, 0.5),
        ("perspective", 0.05, 0.8),
    ],
)
def test_a_stronger_attack_leaves_less(family: str, weak: float, strong: float) -> None:
    picture = drawing()
    near, far = (
        psnr(picture, attacked(picture, find(f"{family}-{s}"), seed=3)) for s in (weak, strong)
    )
    assert near > far

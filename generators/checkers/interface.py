"""What every checker of pictures looks like to whoever must not let a concept out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3)


class CannotCheck(RuntimeError):
    """A checker that is missing, altered, or asked about what it does not know."""


class Checker(Protocol):
    """Scores pictures by label, so that a policy can put a threshold on some of them."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> bytes:
        """SHA-256 of its weights, 32 bytes: two checkers with one digest give the same scores."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can tell apart."""

    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """(N, labels) in [0, 1]; higher says more surely that the label is in the picture."""

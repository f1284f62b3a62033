"""A member that calls a picture drawn the brighter it is, and its calibration."""

import numpy as np

from provenance.forensics.conformal import Calibration
from provenance.forensics.member import Logits
from provenance.image import Pixels


class Brightness:
    """Ten times the mean of a crop."""

    name, licence, side, most = "brightness/1", "none", 128, 9

    def transform(self, pixels: Pixels) -> Pixels:
        return pixels

    def logits(self, cut: Pixels) -> Logits:
        return np.asarray(10 * cut.mean(axis=(1, 2, 3)), np.float64)


class Edge(Brightness):
    """Sees no more than the first row and column of a crop: it does not outlast a shift."""

    name = "edge/1"

    def logits(self, cut: Pixels) -> Logits:
        return np.asarray(10 * cut[:, :, 0, 0].mean(axis=1), np.float64)


def calibration(member: str, highest: float) -> Calibration:
    """Photographs that score up to `highest`."""
    return Calibration(member, "made up", {"native": np.linspace(0, highest, 39)})

"""What the classifier asks of a model: crops in, one number each out.

A member is anything with a name, a licence, a side and `logits`. Its score of a picture is the
mean of its crops' logits, so that a map of crops adds up to the score. It has a calibration file
of its own, since p-values are of one member's scores.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from provenance.errors import ProvenanceError
from provenance.forensics import crops, history, spectra
from provenance.forensics.crops import Corner
from provenance.forensics.residual import ResidualNet
from provenance.forensics.spectra import SpectraHead
from provenance.image import Pixels

Logits = NDArray[np.float64]

WEIGHTS = Path(__file__).parent / "weights" / "embedded.safetensors"
SAME = history.jpeg(90)  # what every picture is put through before it is looked at
PARTS = 2  # the spectra and the residual network


class BadMember(ProvenanceError):
    """Weights that cannot be loaded, or that are not this member's."""


class Member(Protocol):
    """A model that tells drawn from photographed crops."""

    @property
    def name(self) -> str:
        """Name and version: what calibrations and answers say."""

    @property
    def licence(self) -> str:
        """Under which licence the weights may be used."""

    @property
    def side(self) -> int:
        """px of a crop."""

    @property
    def most(self) -> int:
        """How many crops of a picture are looked at."""

    def transform(self, pixels: Pixels) -> Pixels:
        """A picture (3, H, W) as it is to be looked at, of the same size."""

    def logits(self, cut: Pixels) -> Logits:
        """(N, 3, side, side) in [0, 1] to (N,); above 0 speaks for a drawn picture."""


@dataclass(frozen=True)
class CropScores:
    """A member's logits of a picture's crops, and where they lie."""

    shape: tuple[int, int]  # height, width of what was looked at
    places: tuple[Corner, ...]
    side: int
    logits: Logits

    @property
    def score(self) -> float:
        """The picture's score: the mean of its crops'."""
        return float(self.logits.mean())


def look(member: Member, pixels: Pixels, *, most: int | None = None) -> CropScores:
    """The member's scores of a picture (3, H, W), at most `most` crops, at its own resolution."""
    limit = member.most if most is None else most
    height, width = pixels.shape[1:]
    places = crops.corners(height, width, side=member.side, most=limit)
    logits = member.logits(crops.cut(member.transform(pixels), places, member.side))
    return CropScores((height, width), tuple(places), member.side, logits)


class Embedded:
    """The member that comes with Countermark: spectra and residual network, added up.

    Both parts' weights in the sum are at least 0, so only what one finds can speak for a drawing.
    """

    licence = "Apache-2.0"
    side = crops.SIDE
    most = crops.MOST

    def __init__(self, tensors: dict[str, Tensor], name: str) -> None:
        self.name = name
        self.parts, self.constant = tensors["sum.weight"].numpy(), float(tensors["sum.bias"])
        if self.parts.shape != (PARTS,) or (self.parts < 0).any():
            raise BadMember(f"{name}: the parts' weights are two, and none is below 0")
        self.head, self.net = SpectraHead(), ResidualNet()
        for prefix, module in (("spectra.", self.head), ("residual.", self.net)):
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            module.load_state_dict(own)
            module.eval()
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def transform(self, pixels: Pixels) -> Pixels:
        """Every picture is looked at as JPEG 90, so that its own codec hardly counts."""
        return SAME.apply(pixels)

    def logits(self, cut: Pixels) -> Logits:
        """The weighted sum of both parts, which are computed side by side."""
        with ThreadPoolExecutor(1) as beside:
            spectral = beside.submit(self.spectral, cut)
            found = np.stack([self.residual(cut), spectral.result()][::-1], axis=1)
        total: Logits = found @ self.parts + self.constant
        return total

    def spectral(self, cut: Pixels) -> Logits:
        """The reading of the spectra, (N,)."""
        with torch.inference_mode():
            logits: Tensor = self.head(torch.from_numpy(spectra.features(cut)))
        return np.asarray(logits.double().numpy())

    def residual(self, cut: Pixels) -> Logits:
        """The residual network's logits, (N,)."""
        batch = torch.from_numpy(np.ascontiguousarray(cut))
        with torch.inference_mode():
            logits: Tensor = self.net(batch.contiguous(memory_format=torch.channels_last))
        return np.asarray(logits.double().numpy())


def load_embedded(path: Path = WEIGHTS) -> Embedded:
    """The embedded member, named by the digest of its weights; raises BadMember."""
    try:
        digest = sha256(path.read_bytes()).hexdigest()
        return Embedded(load_file(path), f"spectra+residual/1 {digest[:16]}")
    except (OSError, SafetensorError, KeyError, RuntimeError) as e:
        raise BadMember(f"{path}: not the embedded member's weights: {e}") from e

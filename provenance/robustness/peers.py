"""Post-hoc marks of others, run as published for the side-by-side: DwtDctSvd and RivaGAN.

Both come with the package invisible-watermark (MIT); RivaGAN's two networks lie inside it. They
carry 32 bits and have no test of presence; the one here is exact: under a message drawn at random
the agreeing bits are Binomial(32, 1/2), whatever the picture. The package itself refuses pictures
below 256 x 256; its parts are called directly, at the picture's own size. `rivagan-256` enlarges
a smaller picture first and brings the difference back: compare with the better of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from provenance.image import Pixels
from provenance.robustness import extra, files

BITS = 32
SIDE = 256  # px: the least that the package takes
RIVAGAN_THRESHOLD = 0.52  # as in the package

Bits = NDArray[np.uint8]  # (32,) of 0 and 1


@dataclass(frozen=True)
class Peer:
    """How a peer puts 32 bits into pixels (3, H, W) and reads 32 bits out of any pixels."""

    embed: Callable[[Pixels, Bits], Pixels]
    read: Callable[[Pixels], Bits]

    def agreement(self, pixels: Pixels, message: Bits) -> float:
        """Share of the bits read that are the message's."""
        return float(np.mean(self.read(pixels) == message))

    def evidence(self, pixels: Pixels, message: Bits) -> float:
        """-log10 P(as many bits of a random message agree), at most 9.63."""
        agreeing = int(np.sum(self.read(pixels) == message))
        return float(-stats.binom.logsf(agreeing - 1, BITS, 0.5) / np.log(10))


def message(rng: np.random.Generator) -> Bits:
    """32 random bits."""
    return rng.integers(0, 2, BITS).astype(np.uint8)


def _svd_embed(pixels: Pixels, bits: Bits) -> Pixels:
    _check_bits(bits)
    scheme = extra.module("imwatermark.dwtDctSvd")
    encoder = scheme.EmbedDwtDctSvd(bits.tolist(), wmLen=BITS)
    return _from_bgr(encoder.encode(_bgr(pixels)))


def _svd_read(pixels: Pixels) -> Bits:
    scheme = extra.module("imwatermark.dwtDctSvd")
    read = scheme.EmbedDwtDctSvd([], wmLen=BITS).decode(_bgr(_at_least(pixels, 48)))
    return np.asarray(read, np.uint8)


def _riva_embed(pixels: Pixels, bits: Bits) -> Pixels:
    _check_bits(bits)
    feed = {"frame": _frame(pixels), "data": bits[None].astype(np.float32)}
    marked = _network("encoder").run(None, feed)[0][0, :, 0]
    return _from_bgr(((np.clip(marked, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0))


def _riva_read(pixels: Pixels) -> Bits:
    read = _network("decoder").run(None, {"frame": _frame(_at_least(pixels, 48))})[0][0]
    return np.asarray(read > RIVAGAN_THRESHOLD, np.uint8)


@lru_cache(maxsize=2)
def _network(half: str) -> Any:
    runtime = extra.module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = extra.folder("imwatermark") / f"rivagan_{half}.onnx"
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _frame(pixels: Pixels) -> NDArray[np.float32]:
    frame = _bgr(pixels).astype(np.float32) / np.float32(127.5) - 1  # BGR, as the package feeds it
    return frame.transpose(2, 0, 1)[None, :, None]


def _at_least(pixels: Pixels, side: int) -> Pixels:
    """Enlarged where a cut left less than the schemes need for one bit a block."""
    height, width = pixels.shape[1:]
    if min(height, width) >= side:
        return pixels
    return files.resized(pixels, max(height, side), max(width, side))


def _bgr(pixels: Pixels) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(files.to_image(pixels))[..., ::-1])


def _from_bgr(bgr: NDArray[np.uint8]) -> Pixels:
    return files.from_image(Image.fromarray(np.ascontiguousarray(bgr[..., ::-1])))


def _check_bits(bits: Bits) -> None:
    if bits.shape != (BITS,) or not np.isin(bits, (0, 1)).all():
        raise ValueError(f"a message is {BITS} bits of 0 and 1, got shape {bits.shape}")


def _riva_embed_large(pixels: Pixels, bits: Bits) -> Pixels:
    large = _at_least(pixels, SIDE)
    if large is pixels:
        return _riva_embed(pixels, bits)
    height, width = pixels.shape[1:]
    change = _riva_embed(large, bits) - large
    small = [Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC) for c in change]
    return files.rounded(pixels + np.stack([np.asarray(c) for c in small]))


def _riva_read_large(pixels: Pixels) -> Bits:
    return _riva_read(_at_least(pixels, SIDE))


PEERS: dict[str, Peer] = {
    "dwt-dct-svd": Peer(_svd_embed, _svd_read),
    "rivagan": Peer(_riva_embed, _riva_read),
    "rivagan-256": Peer(_riva_embed_large, _riva_read_large),
}

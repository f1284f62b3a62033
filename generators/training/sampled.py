"""Sample grids for `generators.training.reading`: `python -m generators.training.sampled --help`.

The transformer draws its own captions under random half lists of many strengths, as marks will,
so that decoder and reader are tuned on the grids that they will meet and on no key in particular.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generators.codecs.vq import VQCodec
from generators.interface import Site
from generators.raster import RasterConfig, RasterModel, RasterTransformer
from generators.sampling import Request, Sampling, Unerased, draw
from generators.text import TextEncoder
from generators.training.codec import TUTOR
from generators.training.icons import background
from generators.training.things import THINGS, spoken

BATCH = 16


class HalfList:
    """Favours a random half of the codes by 0 to 8 nats."""

    def __init__(self, rng: np.random.Generator, codes: int) -> None:
        half = torch.from_numpy(rng.random(codes) < 0.5)
        self._addend = half * float(rng.uniform(0, 8))

    def favour(self, site: Site, logits: Tensor) -> Tensor:
        return logits + self._addend

    def swap(self, site: Site, tokens: Tensor, logits: Tensor) -> Tensor:
        return tokens


def caption(rng: np.random.Generator) -> str:
    """A caption as the transformer was trained on."""
    return f"{spoken(THINGS[rng.integers(len(THINGS))])}, {background(rng)[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transformer", type=Path, required=True)
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help=".npy of grids (N, 16, 16)")
    parser.add_argument("--count", type=int, default=640)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    codec = VQCodec(TUTOR)
    codec.load_state_dict(torch.load(options.codec, weights_only=True)["codec"])
    transformer = RasterTransformer(RasterConfig())
    transformer.load_state_dict(torch.load(options.transformer, weights_only=True)["model"])
    model = RasterModel(transformer, TextEncoder())
    rng = np.random.default_rng(options.seed)
    drawn: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]] = []
    started = time.monotonic()
    while len(drawn) < options.count:
        requests = [
            Request(
                caption(rng),
                int(rng.integers(2**31)),
                Sampling(guidance=float(rng.uniform(1, 4)), temperature=float(rng.uniform(0.5, 1))),
            )
            for _ in range(BATCH)
        ]
        marks = [HalfList(rng, transformer.config.codes) for _ in requests]
        drawn += [
            d.tokens
            for d in draw(
                model, codec.eval(), requests, erasures=[Unerased()] * BATCH, watermarks=marks
            )
        ]
        print(f"{len(drawn)} {time.monotonic() - started:.0f}s", flush=True)
    np.save(options.out, np.stack(drawn[: options.count]).astype(np.uint16))


if __name__ == "__main__":
    main()

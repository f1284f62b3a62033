"""Makes tests/vectors/tiny_vqgan.safetensors: a codec of LlamaGen's layout that reads what it drew.

`python -m tests.generators.codecs.tiny` trains it for 220 steps, a minute on one core. Codes are
64, 2 px a token; nine in ten tokens come back from its pictures.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generators.codecs.vqgan import VQGANCodec, VQGANConfig

CODES, STEPS, SIDE = 64, 220, 16
NOISE, SHARP = 0.01, 10.0  # of pixels; of cosines


def tokens() -> Tensor:
    """Two grids of tokens, each as likely as any other."""
    return torch.randint(CODES, (2, SIDE, SIDE))


def loss(codec: VQGANCodec) -> Tensor:
    """How badly the tokens of noisy pictures are told from their pixels."""
    drawn = tokens()
    vectors = codec.quantize.codes()[drawn].permute(0, 3, 1, 2)
    pixels = codec.decoder(codec.post_quant_conv(vectors)).clamp(-1, 1) / 2 + 0.5
    latent = codec.latent(pixels + torch.randn_like(pixels) * NOISE)
    cosines = F.normalize(latent, dim=1).permute(0, 2, 3, 1) @ codec.quantize.codes().T
    return F.cross_entropy((SHARP * cosines).flatten(0, 2), drawn.flatten())


def main(path: Path) -> None:
    """Train and write, in half precision."""
    torch.manual_seed(0)
    codec = VQGANCodec(VQGANConfig(CODES, 8, 32, 32, (1, 1), 1))
    optimiser = torch.optim.AdamW(codec.parameters(), 3e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss(codec).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    save_file({key: one.half() for key, one in codec.state_dict().items()}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Where a generator computes: on the processor, or on a device that PyTorch knows.

Weights and large tensors live on the device; logits are brought back and sampled on the processor
in double precision, which not every device has. Pixels and tokens that leave are on the processor,
so whoever uses a codec need not know. A device rounds in its own way: the same wish gives the same
picture on the same device, not on another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generators.interface import Codebook, Codec, Reading

CPU = torch.device("cpu")
KNOWN = ("cpu", "cuda", "mps")


class NoDevice(RuntimeError):
    """A device that this machine, or this build of PyTorch, does not have."""


def find_device(name: str) -> torch.device:
    """The device of a name like cuda:0, once it has computed something; raises NoDevice."""
    try:
        device = torch.device(name)
        if device.type not in KNOWN:
            raise NoDevice(f"{name!r} is not one of {', '.join(KNOWN)}")
        (torch.zeros(1, device=device) + 1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        if isinstance(e, NoDevice):
            raise
        reason = str(e).partition("\n")[0]
        raise NoDevice(f"PyTorch {torch.__version__} has no device {name!r}: {reason}") from e
    return device


def brief() -> torch.autocast:
    """Training on the processor: in bfloat16 where it multiplies those, else in single precision.

    Without such instructions a product of bfloat16 matrices takes two hundred times as long.
    """
    native = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=native)


@dataclass(frozen=True, eq=False)
class PlacedCodec:
    """A codec on a device, to be used as one on the processor."""

    codec: Codec
    device: torch.device

    @property
    def codes(self) -> Codebook:
        codes = self.codec.codes
        return Codebook(codes.vectors.cpu(), codes.metric)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.codec.encode(pixels.to(self.device)).cpu()

    def read(self, pixels: Tensor) -> Reading:
        found = self.codec.read(pixels.to(self.device))
        coarser = tuple(Reading(one.tokens.cpu(), one.margin.cpu()) for one in found.coarser)
        return Reading(found.tokens.cpu(), found.margin.cpu(), coarser)

    def find(self, pixels: Tensor) -> Tensor:
        return self.codec.find(pixels.to(self.device)).cpu()

    def decode(self, tokens: Tensor) -> Tensor:
        return self.codec.decode(tokens.to(self.device)).cpu()

"""Codecs that `diffusers` holds as VQModel: aMUSEd's and MoVQ (Kandinsky, Meissonic).

What its pixels are is not in its configuration: aMUSEd's are in [0, 1], MoVQ's in [-1, 1].
"""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.vq_model import VQModel
from torch import Tensor

from generators.codecs.described import Described
from generators.interface import Codebook, Reading


class VQModelCodec(Described):
    """Pixels (B, 3, H, W) in [0, 1] to tokens (B, h, w) and back.

    `dark` is what the model takes for black: 0 or -1; white is 1.
    """

    def __init__(self, model: VQModel, *, dark: float) -> None:
        if dark not in (0, -1):
            raise ValueError(f"dark is 0 or -1, not {dark}")
        self._model, self._dark = model, dark
        model.eval()

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by distance."""
        return Codebook(self._model.quantize.embedding.weight.detach(), "l2")

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much nearer the best code was."""
        latents = self._model.encode(pixels * (1 - self._dark) + self._dark).latents
        vectors = latents.permute(0, 2, 3, 1)
        far = torch.cdist(vectors.flatten(0, 2), self.codes.vectors).square()
        best = far.topk(2, -1, largest=False)
        grid = vectors.shape[:3]
        margin = best.values[:, 1] - best.values[:, 0]
        return Reading(best.indices[:, 0].reshape(grid), margin.reshape(grid))

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens."""
        codes = self.codes.vectors[tokens].permute(0, 3, 1, 2)
        inner = self._model.post_quant_conv(codes)
        spatial = codes if self._model.config["norm_type"] == "spatial" else None
        drawn: Tensor = self._model.decoder(inner, spatial).clamp(self._dark, 1)
        return (drawn - self._dark) / (1 - self._dark)

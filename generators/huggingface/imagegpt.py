"""ImageGPT (Chen et al., ICML 2020), from transformers' ImageGPTForCausalImageModeling.

It draws without a prompt, pixel by pixel, in colours of a palette. Describing a picture of its size
anew is exact as long as every pixel is nearest to the colour it was drawn in.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, ImageGPTForCausalImageModeling

from generators.codecs.described import Described
from generators.huggingface.causal import Begun
from generators.interface import CannotAsk, Codebook, Layout, Reading


class ImageGPTNetwork:
    """The transformer; a row begins with the token after the last colour."""

    def __init__(self, model: ImageGPTForCausalImageModeling) -> None:
        self._model = model
        model.eval()  # type: ignore[no-untyped-call]
        side = int(model.config.n_positions**0.5)
        self.layout = Layout(side, side)

    def begin(self, texts: Sequence[str]) -> Begun:
        asked = [text for text in texts if text.strip()]
        if asked:
            raise CannotAsk(f"ImageGPT draws without a prompt, and was given {asked[0]!r}")
        first = torch.full((len(texts), 1), self._model.config.vocab_size - 1)
        return Begun(first.to(self._model.device), torch.ones_like(first, dtype=torch.bool))

    def bare(self, begun: Begun) -> Begun:
        return begun

    def read(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(ids)
        return embedded

    def feed(self, tokens: Tensor, done: int) -> Tensor:
        return self.read(tokens[:, None])

    def logits(self, inputs: Tensor, valid: Tensor, places: Tensor, cache: Cache) -> Tensor:
        out = self._model(inputs_embeds=inputs, position_ids=places, cache=cache, use_cache=True)
        logits: Tensor = out.logits[:, -1]
        return logits


class ImageGPTCodec(Described):
    """A palette (V, 3) in [-1, 1], as the image processor holds it; a pixel is a token."""

    def __init__(self, palette: Tensor) -> None:
        self._palette = palette.float()

    @property
    def codes(self) -> Codebook:
        """The colours, compared by distance."""
        return Codebook(self._palette, "l2")

    def read(self, pixels: Tensor) -> Reading:
        """The nearest colours, and by how much nearer than the next."""
        far = torch.cdist(pixels.permute(0, 2, 3, 1).flatten(1, 2) * 2 - 1, self._palette)
        best = far.topk(2, -1, largest=False)
        tokens, margin = best.indices[..., 0], best.values[..., 1] - best.values[..., 0]
        grid = (len(pixels), *pixels.shape[2:])
        return Reading(tokens.reshape(grid), margin.reshape(grid))

    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens."""
        return self._palette[tokens].permute(0, 3, 1, 2) / 2 + 0.5

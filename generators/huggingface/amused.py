"""aMUSEd (arXiv 2401.01808), from diffusers' UVit2DModel.

Pictures are asked for uncropped and of the aesthetic score 6, as its pipeline does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diffusers.models.unets.uvit_2d import UVit2DModel
from torch import Tensor

from generators.interface import Layout
from generators.masked import Told

SCORE = 6.0


class AmusedNetwork:
    """The transformer, for square grids of its own side.

    `tell` gives CLIP's text vectors (N, D) and its last but one states (N, L, C), as the pipeline
    takes them; `stride` is that of its codec, in px.
    """

    def __init__(
        self,
        model: UVit2DModel,
        tell: Callable[[Sequence[str]], tuple[Tensor, Tensor]],
        *,
        stride: int = 16,
    ) -> None:
        model.eval()
        self._model, self._tell = model, tell
        side = int(model.config["sample_size"])
        self._size, self.mask = side * stride, int(model.config["vocab_size"]) - 1
        self.layout = Layout(side, side)

    def tell(self, texts: Sequence[str]) -> Told:
        return Told(*self._tell(list(texts)))

    def logits(self, tokens: Tensor, told: Told) -> Tensor:
        size = float(self._size)
        asked = told.states.new_tensor([size, size, 0.0, 0.0, SCORE])
        logits: Tensor = self._model(
            tokens,
            micro_conds=asked.expand(len(tokens), -1),
            pooled_text_emb=told.pooled,
            encoder_hidden_states=told.states,
        )
        return logits.flatten(2).transpose(1, 2)

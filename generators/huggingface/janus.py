"""Janus and Janus-Pro (arXiv 2501.17811), from transformers' JanusForConditionalGeneration.

Without a prompt, all of its tokens but the first and the one that begins a picture are padding, as
in the library's `generate`. The codec's tokens are told by cosine, as the published encoder does:
the library's own `encode` compares vectors that are not normalised, and disagrees wherever codes
are not of length one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from generators.checkpoints.janus import stride_of
from generators.codecs.described import Described, by_cosine
from generators.huggingface.causal import Begun
from generators.interface import Codebook, Layout, Reading

if TYPE_CHECKING:  # importing the classes takes seconds, and who brings models need not draw
    from transformers import Cache, JanusForConditionalGeneration, JanusVQVAE

Tokenise = Callable[[Sequence[str]], Mapping[str, Tensor]]


class JanusNetwork:
    """The language model with its head for pictures.

    `tokenise` gives `input_ids` and `attention_mask`, padded on the left, each prompt ending with
    the token that begins a picture: JanusProcessor with generation_mode="image" does. Of the model
    its parts that draw are used: what understands pictures, and the VQ model, may be gone.
    """

    def __init__(self, model: JanusForConditionalGeneration, tokenise: Tokenise) -> None:
        self._model, self._tokenise = model, tokenise
        model.eval()  # type: ignore[no-untyped-call]
        tokens: int = model.config.vision_config.num_image_tokens  # type: ignore[union-attr]
        side = math.isqrt(tokens)
        self.layout = Layout(side, side)

    def begin(self, texts: Sequence[str]) -> Begun:
        batch, device = self._tokenise(list(texts)), self._model.device
        return Begun(batch["input_ids"].to(device), batch["attention_mask"].bool().to(device))

    def bare(self, begun: Begun) -> Begun:
        config = self._model.generation_config
        first: int = config.generation_kwargs["boi_token_id"]  # type: ignore[attr-defined]
        kept = (begun.ids == config.bos_token_id) | (begun.ids == first)
        return Begun(begun.ids.where(kept, config.pad_token_id), begun.valid)

    def read(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(ids)
        return embedded

    def feed(self, tokens: Tensor, done: int) -> Tensor:
        embedded: Tensor = self._model.prepare_embeddings_for_image_generation(tokens[:, None])
        return embedded

    def logits(self, inputs: Tensor, valid: Tensor, places: Tensor, cache: Cache) -> Tensor:
        states = self._model.model.language_model(
            inputs_embeds=inputs,
            attention_mask=valid.long(),
            position_ids=places,
            cache=cache,
            use_cache=True,
        ).last_hidden_state
        logits: Tensor = self._model.model.generation_head(states[:, -1])
        return logits


class JanusCodec(Described):
    """The VQ model of Janus; pixels (B, 3, H, W) in [0, 1], tokens (B, h, w), drawn in one size."""

    def __init__(self, model: JanusVQVAE) -> None:
        self._vq = model.eval()  # type: ignore[no-untyped-call]
        self._stride = stride_of(model.config)

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by cosine."""
        return Codebook(F.normalize(self._vq.quantize.embedding.weight.detach(), dim=-1), "cosine")

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much cosine the best code won.

        What is beyond the last whole token is not read.
        """
        return by_cosine(self._latent, pixels, codes=self.codes.vectors, stride=self._stride)

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens."""
        drawn: Tensor = self._vq.decode(tokens.flatten(1)).clamp(-1, 1)
        return drawn / 2 + 0.5

    def _latent(self, pixels: Tensor) -> Tensor:
        latent: Tensor = self._vq.quant_conv(self._vq.encoder(pixels * 2 - 1))
        return latent

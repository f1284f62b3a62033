"""Janus and Janus-Pro (arXiv 2501.17811), from transformers' JanusForConditionalGeneration.

Without a prompt, all of its tokens but the first and the one that begins a picture are padding, as
in the library's `generate`. The codec's tokens are told by cosine, as the published encoder does:
the library's own `encode` compares vectors that are not normalised, and disagrees wherever codes
are not of length one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, JanusForConditionalGeneration

from generators.codecs.described import Described
from generators.huggingface.causal import Begun
from generators.interface import Codebook, Layout, Reading

Tokenise = Callable[[Sequence[str]], Mapping[str, Tensor]]


class JanusNetwork:
    """The language model with its head for pictures.

    `tokenise` gives `input_ids` and `attention_mask`, padded on the left, each prompt ending with
    the token that begins a picture: JanusProcessor with generation_mode="image" does.
    """

    def __init__(self, model: JanusForConditionalGeneration, tokenise: Tokenise) -> None:
        self._model, self._tokenise = model, tokenise
        model.eval()  # type: ignore[no-untyped-call]
        side = int(model.model.vision_model.config.num_image_tokens**0.5)
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
    """The VQ model of Janus; pixels (B, 3, H, W) in [0, 1] of its one size, tokens (B, h, w)."""

    def __init__(self, model: JanusForConditionalGeneration) -> None:
        self._vq = model.model.vqmodel.eval()

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by cosine."""
        return Codebook(F.normalize(self._vq.quantize.embedding.weight.detach(), dim=-1), "cosine")

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much cosine the best code won."""
        latent = self._vq.quant_conv(self._vq.encoder(pixels * 2 - 1))
        vectors = F.normalize(latent, dim=1).permute(0, 2, 3, 1)
        best = (vectors @ self.codes.vectors.T).topk(2, -1)
        return Reading(best.indices[..., 0], best.values[..., 0] - best.values[..., 1])

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens."""
        drawn: Tensor = self._vq.decode(tokens.flatten(1)).clamp(-1, 1)
        return drawn / 2 + 0.5

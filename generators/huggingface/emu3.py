"""Emu3 (arXiv 2409.18869), from transformers' Emu3ForConditionalGeneration.

A picture's tokens are words of the language model, a row of them ended by a word of its own: the
loop draws among the picture's words alone, and the ends of rows are put in by the network. Without
a prompt means with the prompt that the caller names, empty if none is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, Emu3ForConditionalGeneration

from generators.codecs.described import Described
from generators.huggingface.causal import Begun
from generators.huggingface.janus import Tokenise
from generators.interface import Codebook, Layout, Reading


class Emu3Network:
    """The language model, for grids of one size.

    `tokenise` gives `input_ids` and `attention_mask`, padded on the left, each prompt ending with
    what begins a picture of that grid: Emu3Processor with return_for_image_generation does.
    """

    def __init__(
        self,
        model: Emu3ForConditionalGeneration,
        tokenise: Tokenise,
        layout: Layout,
        *,
        negative: str = "",
    ) -> None:
        self._model, self._tokenise, self._negative = model, tokenise, negative
        model.eval()  # type: ignore[no-untyped-call]
        self.layout = layout
        mapping = model.model.vocabulary_mapping
        self._words = mapping.img2bpe_mapping_tensor.long().to(model.device)
        self._end = int(mapping.eol_token_id)

    def begin(self, texts: Sequence[str]) -> Begun:
        batch, device = self._tokenise(list(texts)), self._model.device
        return Begun(batch["input_ids"].to(device), batch["attention_mask"].bool().to(device))

    def bare(self, begun: Begun) -> Begun:
        return self.begin([self._negative] * len(begun.ids))

    def read(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(ids)  # type: ignore[no-untyped-call]
        return embedded

    def feed(self, tokens: Tensor, done: int) -> Tensor:
        words = self._words[tokens][:, None]
        if done % self.layout.width == 0:
            words = F.pad(words, (0, 1), value=self._end)
        return self.read(words)

    def logits(self, inputs: Tensor, valid: Tensor, places: Tensor, cache: Cache) -> Tensor:
        states = self._model.model.text_model(
            inputs_embeds=inputs,
            attention_mask=valid.long(),
            position_ids=places,
            cache=cache,
            use_cache=True,
        ).last_hidden_state
        logits: Tensor = self._model.lm_head(states[:, -1])
        return logits[:, self._words]


class Emu3Codec(Described):
    """The VQ model of Emu3 for single pictures; tokens (B, h, w)."""

    def __init__(self, model: Emu3ForConditionalGeneration) -> None:
        self._vq = model.model.vqmodel.eval()

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by distance."""
        return Codebook(self._vq.quantize.embedding.weight.detach(), "l2")

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much nearer the best code was."""
        frames = (pixels * 2 - 1)[:, None].repeat(
            1, self._vq.config.temporal_downsample_factor, 1, 1, 1
        )
        latent = self._vq.quant_conv(self._vq.encoder(frames).permute(0, 2, 1, 3, 4))
        vectors = latent[:, :, 0].permute(0, 2, 3, 1)
        codes = self.codes.vectors
        far = vectors.square().sum(-1, keepdim=True) + codes.square().sum(1) - 2 * vectors @ codes.T
        best = far.topk(2, -1, largest=False)
        return Reading(best.indices[..., 0], best.values[..., 1] - best.values[..., 0])

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens."""
        drawn: Tensor = self._vq.decode(tokens).clamp(-1, 1)
        return drawn / 2 + 0.5

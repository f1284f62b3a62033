"""A small LlamaGen of random weights, asked by class or by text, and its codec."""

from collections.abc import Sequence

import torch
from torch import Tensor

from generators.codecs.vqgan import VQGANCodec, VQGANConfig
from generators.gpt import LlamaGenConfig, LlamaGenTransformer
from generators.llamagen import ByClass, ByText, LlamaGenModel
from generators.sampling import Sampling
from generators.scales import Numbered

SIDE, CODES, WIDTH = 8, 64, 12
HOW = Sampling(guidance=2, temperature=1, top_k=CODES, top_p=1)


class Letters:
    """States of a text: a row for every letter, padding after them."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        states, valid = torch.full((len(texts), 5, WIDTH), 9.0), torch.zeros(len(texts), 5).bool()
        for row, text in enumerate(texts):
            for place, letter in enumerate(text):
                states[row, place] = torch.linspace(-1, 1, WIDTH) * ord(letter) / 100
                valid[row, place] = True
        return states, valid


def generator(*, text: bool = False, layers: int = 2) -> tuple[LlamaGenModel, VQGANCodec]:
    """A transformer and its codec with random weights."""
    torch.manual_seed(0)
    codec = VQGANCodec(VQGANConfig(CODES, 8, 32, 32, (1, 1), 1)).eval()
    asked = {"classes": 0, "prefix": 5, "caption_dim": WIDTH} if text else {"classes": 5}
    transformer = LlamaGenTransformer(LlamaGenConfig(CODES, SIDE, 32, layers, 2, 64, **asked))
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    asking = ByText(Letters()) if text else ByClass(Numbered(5))
    return LlamaGenModel(transformer, asking), codec

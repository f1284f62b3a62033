"""Marks of models from `transformers` with random weights, by the project's own loop."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generators.huggingface.causal import CausalModel
from generators.huggingface.emu3 import Emu3Codec, Emu3Network
from generators.huggingface.imagegpt import ImageGPTCodec, ImageGPTNetwork
from generators.huggingface.janus import JanusCodec, JanusNetwork
from generators.huggingface.vqmodel import VQModelCodec
from generators.interface import Codec, DiscreteModel, Layout
from generators.masked import MaskedModel
from generators.sampling import Request, Sampling, Unerased, Unmarked, Watermark, draw
from provenance.watermark.colouring import independent, pairs
from provenance.watermark.detect import Bank, detect
from provenance.watermark.mark import Mark, Swaps, Trades
from provenance.watermark.matching import Metric, match_codes
from provenance.watermark.scheme import Scheme
from provenance.watermark.trade import Likeness
from tests.generators.huggingface import test_amused, test_vqmodel, tiny
from tests.workers import toys
from tests.workers.test_llamagen import view
from workers.marking import Kind

COUNT = 8
Made = tuple[DiscreteModel, Codec, str]


def janus() -> Made:
    model = tiny.janus()
    return CausalModel(JanusNetwork(model, tiny.tokenise)), JanusCodec(model.model.vqmodel), "a cat"


def emu3() -> Made:
    model = tiny.emu3()
    network = Emu3Network(model, tiny.tokenise, Layout(tiny.SIDE, tiny.SIDE))
    return CausalModel(network), Emu3Codec(model), "a cat"


def imagegpt() -> Made:
    palette = tiny.emu3().model.vqmodel.quantize.embedding.weight.detach()[:, :3]
    return CausalModel(ImageGPTNetwork(tiny.imagegpt())), ImageGPTCodec(palette), ""


def amused() -> Made:
    given, _ = test_amused.network()
    codec = VQModelCodec(test_vqmodel.tiny("group"), dark=0)
    return MaskedModel(given, steps=6), codec, "a cat"


@pytest.mark.parametrize("make", [janus, emu3, imagegpt, amused])
@pytest.mark.parametrize("kind", [Kind.LEXICAL, Kind.TRADE, Kind.SWAP])
def test_what_the_library_holds_is_marked_and_its_unmarked_tokens_are_not(
    make: Callable[[], Made], kind: Kind
) -> None:
    model, codec, prompt = make()
    key, size = toys.key(), codec.codes.size
    vectors = codec.codes.vectors
    metric = Metric.COSINE if codec.codes.metric == "cosine" else Metric.L2
    partner = match_codes(vectors.numpy(), metric).partner
    colours = pairs(partner) if kind is Kind.SWAP else independent(size)
    scheme = Scheme("lexical/1", "toy", b"l" * 32, colours, 2)
    swaps = {
        Kind.LEXICAL: None,
        Kind.TRADE: Trades(Likeness(vectors), 20.0),
        Kind.SWAP: Swaps(partner, np.zeros(size, bool), None),
    }[kind]
    how = Sampling(guidance=1.5, temperature=1, top_k=size, top_p=1)
    requests = [Request(prompt, n, how) for n in range(COUNT)]

    def tokens(some: list[Request], marks: list[Watermark]) -> list[NDArray[np.int64]]:
        none = [Unerased()] * len(some)
        return [d.tokens for d in draw(model, codec, some, erasures=none, watermarks=marks)]

    def mark() -> Mark:
        return Mark(scheme, key, 1, delta=4.0 if kind is Kind.LEXICAL else 0.0, swaps=swaps)

    bank, green = Bank(scheme, [key]), scheme.green(key, 1)
    together = np.stack(tokens(requests, [mark() for _ in requests]))
    found = detect([view(together)], [bank], planned=1)
    assert found.p < 1e-6
    assert found.match is not None
    assert found.match.list_index == 1
    bare = np.stack(tokens(requests, [Unmarked()] * COUNT))
    assert detect([view(bare)], [bank], planned=1).p > 1e-3
    alone = np.stack([tokens([request], [mark()])[0] for request in requests])
    assert abs(green[alone].mean() - green[together].mean()) < 0.02

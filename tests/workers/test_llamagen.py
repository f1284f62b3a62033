"""Marks of LlamaGen with random weights: in its tokens, and as green in a batch as alone."""

import numpy as np
import pytest

from generators.sampling import Request, Unerased, Unmarked, Watermark, draw
from provenance.watermark.colouring import independent, pairs
from provenance.watermark.detect import Bank, View, detect
from provenance.watermark.mark import Mark, Swaps, Trades
from provenance.watermark.matching import Metric, match_codes
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import Grid
from provenance.watermark.trade import Likeness
from tests.generators.letters import CODES, HOW, generator
from tests.workers import toys
from workers.marking import Kind


def view(tokens: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> View:
    """Grids (B, h, w) as one view, as if all had been read rightly."""
    return View(b"l" * 32, "tokens", (Grid(tokens, np.ones(tokens.shape, np.float32)),))


@pytest.mark.parametrize("kind", [Kind.LEXICAL, Kind.TRADE, Kind.SWAP, Kind.BOTH])
@pytest.mark.parametrize("text", [False, True])
def test_a_random_llamagen_is_marked_and_its_unmarked_tokens_are_not(
    kind: Kind, text: bool
) -> None:
    model, codec = generator(text=text)
    key, vectors = toys.key(), codec.codes.vectors.numpy()
    partner = match_codes(vectors, Metric.COSINE).partner
    colours = pairs(partner) if kind in (Kind.SWAP, Kind.BOTH) else independent(CODES)
    scheme = Scheme("lexical/1", "llamagen-toy", b"l" * 32, colours, 2)
    swaps = {
        Kind.LEXICAL: None,
        Kind.TRADE: Trades(Likeness(codec.codes.vectors), 20.0),
        Kind.SWAP: Swaps(partner, np.zeros(CODES, bool), None),
        Kind.BOTH: Swaps(partner, np.zeros(CODES, bool), None),
    }[kind]
    delta = 4.0 if kind in (Kind.LEXICAL, Kind.BOTH) else 0.0
    requests = [Request("abc" if text else str(n % 5), n, HOW) for n in range(4)]

    def mark() -> Mark:  # a trade counts what it has drawn, so every picture has its own
        return Mark(scheme, key, 1, delta=delta, swaps=swaps)

    marks: list[Watermark] = [mark() for _ in requests]
    none = [Unerased()] * 4
    made = [d.tokens for d in draw(model, codec, requests, erasures=none, watermarks=marks)]
    bare = draw(model, codec, requests, erasures=none, watermarks=[Unmarked()] * 4)
    bank = Bank(scheme, [key])
    found = detect([view(np.stack(made))], [bank], planned=1)
    assert found.p < 1e-6
    assert found.match is not None
    assert found.match.list_index == 1
    assert detect([view(np.stack([d.tokens for d in bare]))], [bank], planned=1).p > 1e-3
    for request, tokens in zip(requests, made, strict=True):
        (alone,) = draw(model, codec, [request], erasures=none[:1], watermarks=[mark()])
        assert np.array_equal(alone.tokens, tokens)

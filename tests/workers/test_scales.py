"""Marks of models that draw scale by scale: with random weights, and from a file with our own."""

import numpy as np
import pytest
import torch

from generators.catalog import load_generator
from generators.sampling import Request, Sampling, Unerased, Unmarked, Watermark, draw
from provenance.watermark.colouring import independent
from provenance.watermark.detect import Bank, View, detect
from provenance.watermark.mark import Mark, Trades
from provenance.watermark.scheme import Scheme
from provenance.watermark.search import QUICK, Grid
from provenance.watermark.trade import Likeness
from tests.generators.test_scales import CODES, SIDES, generator
from tests.workers import toys
from workers.generate import How, generate
from workers.marking import Kind, Marker
from workers.verify import verify

SCHEME = Scheme(
    "lexical/1", "var-toy", b"v" * 32, independent(CODES), 2, len(SIDES), worth=(0.1, 0.3, 0.6, 1.0)
)


def readings(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> View:
    """The tokens (B, T) of several pictures as one view, as if all had been read rightly."""
    parts = np.split(rows, np.cumsum([s * s for s in SIDES])[:-1], axis=1)
    return View(b"v" * 32, "tokens", tuple(Grid(p, np.ones(p.shape, np.float32)) for p in parts))


@pytest.mark.parametrize("kind", [Kind.LEXICAL, Kind.TRADE])
def test_a_random_var_is_marked_at_every_scale_and_its_unmarked_tokens_are_not(kind: Kind) -> None:
    model, codec = generator()
    key = toys.key()
    swaps = Trades(Likeness(codec.codes.vectors), 20.0) if kind is Kind.TRADE else None
    delta = 4.0 if kind is Kind.LEXICAL else 0.0
    how = Sampling(guidance=1.5, temperature=1, top_k=CODES, top_p=1)
    requests = [Request(str(n % 5), n, how) for n in range(8)]
    marks: list[Watermark] = [Mark(SCHEME, key, 1, delta=delta, swaps=swaps) for _ in requests]
    together = np.stack(
        [
            d.tokens
            for d in draw(model, codec, requests, erasures=[Unerased()] * 8, watermarks=marks)
        ]
    )
    bare = draw(model, codec, requests, erasures=[Unerased()] * 8, watermarks=[Unmarked()] * 8)
    bank = Bank(SCHEME, [key])
    found = detect([readings(together)], [bank], planned=1)
    assert found.p < 1e-6
    assert found.match is not None
    assert found.match.list_index == 1
    assert detect([readings(np.stack([d.tokens for d in bare]))], [bank], planned=1).p > 1e-3
    green = [SCHEME.green(key, 1, scale) for scale in range(len(SIDES))]
    for grid, list_ in zip(readings(together).readings, green, strict=True):
        assert list_[grid.tokens].mean() > 0.7
    if kind is Kind.LEXICAL:
        alone = [
            draw(model, codec, [r], erasures=[Unerased()], watermarks=[m])[0]
            for r, m in zip(requests, marks, strict=True)
        ]
        same = np.mean([a.tokens == t for a, t in zip(alone, together, strict=True)])
        assert same > 0.99


def test_icons_are_drawn_marked_and_verified_from_their_file() -> None:
    drawing = load_generator("icons-128-scales")
    marker = Marker(drawing.name, drawing.spec, drawing.codec)
    key = toys.key()
    request = Request("a red apple, on a blue background", 3)
    marked = generate(drawing, marker, [request], How(Kind.TRADE, key, lambda request: Unerased()))[
        0
    ]
    seen = verify(marked.file, name="apple", marks=marker, keys=[key], plan=QUICK)
    assert seen.mark.match is not None
    assert seen.mark.match.model == "icons-128-scales"
    other = verify(marked.file, name="apple", marks=marker, keys=[toys.key(b"o" * 32)], plan=QUICK)
    assert other.mark.match is None
    assert torch.is_tensor(drawing.codec.codes.vectors)

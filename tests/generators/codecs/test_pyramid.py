import pytest
import torch
from torch import Tensor

from generators.catalog import load_codec
from generators.codecs.pyramid import PyramidCodec, displaced


@pytest.fixture(scope="module")
def codec() -> PyramidCodec:
    found = load_codec("icons-128-scales")
    assert isinstance(found, PyramidCodec)
    return found


def pictures() -> Tensor:
    """Two smooth pictures (2, 3, 128, 128)."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 6, 6, generator=rng) * 0.5 + 0.2
    return torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)


def test_the_finest_tokens_come_back_from_an_8_bit_picture(codec: PyramidCodec) -> None:
    tokens = codec.encode(pictures())
    drawn = (codec.decode(tokens) * 255).round() / 255
    reading = codec.read(drawn)
    *coarser, finest = codec.config.parts(tokens)
    assert (reading.tokens == finest).float().mean() > 0.93
    assert [one.tokens.shape for one in reading.coarser] == [grid.shape for grid in coarser]


def test_a_part_of_a_picture_is_read_at_the_finest_scale_alone(codec: PyramidCodec) -> None:
    tokens = codec.encode(pictures())
    drawn = codec.decode(tokens)
    part = codec.read(drawn[:, :, 16:112, 32:96])
    finest = codec.config.parts(tokens)[-1][:, 2:14, 4:12]
    assert (part.tokens[:, 1:-1, 1:-1] == finest[:, 1:-1, 1:-1]).float().mean() > 0.8
    assert all(one.tokens.numel() == 0 for one in part.coarser)


def test_a_code_is_compared_where_the_coarse_sum_moves_it(codec: PyramidCodec) -> None:
    book = codec.codes.vectors
    vectors, coarse = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    found = displaced(vectors, coarse, book)
    plain = torch.nn.functional.cosine_similarity(vectors[2], book[17] + coarse[2], dim=0)
    torch.testing.assert_close(found[2, 17], plain * vectors[2].norm())

import numpy as np
import pytest
import torch

from generators.codecs.residual import ResidualCodec, ResidualConfig
from generators.interface import CannotAsk, Prompt, Unsupported
from generators.sampling import Request, Sampling, Unerased, Unmarked, draw
from generators.scales import (
    Numbered,
    ScalesConfig,
    ScalesModel,
    ScalesTransformer,
)
from tests.generators.watching import Watching

SIDES = (1, 2, 3, 4)
CODES = 64


def generator(*, shared: bool = False) -> tuple[ScalesModel, ResidualCodec]:
    """A transformer and its codec with random weights."""
    torch.manual_seed(0)
    codec = ResidualCodec(ResidualConfig(CODES, 8, 32, sides=SIDES)).eval()
    config = ScalesConfig(CODES, 8, SIDES, 2, 32, 2, 5, shared_norm=shared)
    transformer = ScalesTransformer(config)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return ScalesModel(transformer, codec.quantize, Numbered(5)), codec


@pytest.mark.parametrize("shared", [False, True])
def test_drawing_scale_by_scale_gives_the_logits_of_one_pass_over_what_was_kept(
    shared: bool,
) -> None:
    model, codec = generator(shared=shared)
    watching = Watching(CODES)
    request = Request("3", 7, Sampling(guidance=4, temperature=1))
    drawn = draw(model, codec, [request], erasures=[Unerased()], watermarks=[watching])[0]
    grids = codec.config.parts(torch.from_numpy(drawn.tokens)[None])
    total, inputs = torch.zeros(1, 8, 4, 4), []
    with torch.inference_mode():
        for scale, grid in enumerate(grids[:-1]):
            total = total + codec.quantize.add(scale, grid)
            inputs.append(codec.quantize.shrunk(total, scale + 1).flatten(2).transpose(1, 2))
        told, untold = (
            model.transformer(torch.tensor([label]), torch.cat(inputs, 1))[0] for label in (3, 5)
        )
    for site, logits in watching.seen:
        extra = 3 * site.positions.new_tensor(site.scale or 0).float() / 3
        at = site.positions
        torch.testing.assert_close(
            logits, (1 + extra) * told[at] - extra * untold[at], rtol=1e-4, atol=1e-4
        )
    assert [site.scale for site, _ in watching.seen] == [0, 1, 2, 3]
    assert torch.cat([site.positions for site, _ in watching.seen]).tolist() == list(range(30))


def test_a_picture_is_what_its_tokens_decode_to() -> None:
    model, codec = generator()
    drawn = draw(model, codec, [Request("1", 3)], erasures=[Unerased()], watermarks=[Unmarked()])[0]
    pixels = codec.decode(torch.from_numpy(drawn.tokens)[None])
    assert drawn.tokens.shape == (model.layout.tokens,) == (30,)
    assert np.array_equal(drawn.pixels, (pixels[0] * 255).round().byte().permute(1, 2, 0).numpy())


def test_a_prompt_is_the_number_of_a_class() -> None:
    labels = Numbered(5)
    assert labels(" 4 ") == 4
    for wrong in ("5", "-1", "cat", "", "²"):
        with pytest.raises(CannotAsk, match="number of a class below 5"):
            labels(wrong)


def test_phrases_to_draw_without_are_refused() -> None:
    model, _ = generator()
    with pytest.raises(Unsupported, match="no phrases"):
        model.open([Prompt("1", without=("a gun",))])

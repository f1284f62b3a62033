import torch

from generators.codecs.residual import ResidualCodec, ResidualConfig

SIDES = (1, 2, 3, 4)


def test_scales_share_convolutions_as_the_official_code_shares_them() -> None:
    sides = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    config = ResidualConfig(sides=sides)
    assert [config.mixer(scale) for scale in range(10)] == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert ResidualConfig(sides=sides, mixers=1).mixer(9) == 0


def test_reading_is_describing_and_says_how_surely() -> None:
    torch.manual_seed(0)
    codec = ResidualCodec(ResidualConfig(64, 8, 32, sides=SIDES)).eval()
    pixels = torch.rand(2, 3, 64, 64)
    reading = codec.read(pixels)
    rows = [one.tokens.flatten(1) for one in (*reading.coarser, reading)]
    assert torch.equal(torch.cat(rows, 1), codec.encode(pixels))
    assert [one.tokens.shape[1] for one in (*reading.coarser, reading)] == list(SIDES)
    assert all((one.margin >= 0).all() for one in (*reading.coarser, reading))


def test_describing_is_not_idempotent() -> None:
    torch.manual_seed(0)
    codec = ResidualCodec(ResidualConfig(64, 8, 32, sides=SIDES)).eval()
    drawn = torch.randint(64, (8, 30))
    with torch.inference_mode():
        total = codec.quantize.total(codec.config.parts(drawn))
        found, _ = codec.quantize.describe(total)
    again = torch.cat([one.tokens.flatten(1) for one in found], 1)
    assert (again == drawn).float().mean() < 0.5

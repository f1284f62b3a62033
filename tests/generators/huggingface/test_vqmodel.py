import pytest
import torch
from diffusers.models.autoencoders.vq_model import VQModel

from generators.huggingface.vqmodel import VQModelCodec


def tiny(norm: str) -> VQModel:
    torch.manual_seed(0)
    model = VQModel(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        num_vq_embeddings=64,
        norm_num_groups=8,
        norm_type=norm,
        lookup_from_codebook=True,
    )
    torch.nn.init.normal_(model.quantize.embedding.weight, std=0.5)
    model.eval()
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize(("norm", "dark"), [("group", 0), ("spatial", -1)])
def test_tokens_and_pixels_are_the_librarys(norm: str, dark: float) -> None:
    model = tiny(norm)
    codec = VQModelCodec(model, dark=dark)
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(64, (2, 8, 6), generator=rng)
    pixels = torch.rand(2, 3, 16, 12, generator=rng)
    with torch.inference_mode():
        given = pixels if dark == 0 else pixels * 2 - 1
        _, _, (_, _, wanted) = model.quantize(model.encode(given).latents)
        drawn = model.decode(tokens, force_not_quantize=True, shape=(2, 8, 6, 4)).sample
    assert torch.equal(codec.encode(pixels), wanted.reshape(2, 8, 6))
    drawn = drawn.clamp(dark, 1)
    torch.testing.assert_close(codec.decode(tokens), drawn if dark == 0 else drawn / 2 + 0.5)


def test_what_black_is_must_be_said() -> None:
    with pytest.raises(ValueError, match="0 or -1, not 0.5"):
        VQModelCodec(tiny("group"), dark=0.5)

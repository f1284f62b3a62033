import pytest
import torch

from generators.codecs.vq import AT_ONCE, VQCodec, VQConfig, nearest

SMALL = VQConfig(codes=32, dim=4, fine=8, coarse=16)


@pytest.fixture(scope="module")
def codec() -> VQCodec:
    torch.manual_seed(0)
    return VQCodec(SMALL).eval()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 40)])
def test_a_token_stands_for_eight_by_eight_pixels(codec: VQCodec, height: int, width: int) -> None:
    tokens = codec.encode(torch.rand(2, 3, height, width))
    assert tokens.shape == (2, height // 8, width // 8)
    pixels = codec.decode(tokens)
    assert pixels.shape == (2, 3, height, width)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_codes_are_read_by_angle_alone(codec: VQCodec) -> None:
    vectors = 3 * codec.codebook[torch.tensor([[5, 9], [31, 0]])].permute(2, 0, 1)[None]
    assert codec.similarity(vectors).argmax(-1).flatten().tolist() == [5, 9, 31, 0]
    assert torch.allclose(codec.codebook.norm(dim=1), torch.ones(32), atol=1e-5)


def test_the_token_of_a_vector_is_the_token_of_its_patch(codec: VQCodec) -> None:
    pixels = torch.rand(2, 3, 24, 40)
    vectors = codec.vectors(pixels)
    assert vectors.shape == (2, SMALL.dim, 3, 5)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2, 3, 5), atol=1e-5)
    assert not vectors.requires_grad
    assert torch.equal(codec.similarity(vectors).argmax(-1), codec.encode(pixels))


def test_the_margin_is_the_lead_over_the_second_best_code(codec: VQCodec) -> None:
    pixels = torch.rand(1, 3, 16, 16)
    reading = codec.read(pixels)
    ordered = codec.similarity(codec.reader(pixels)).sort(-1, descending=True)
    assert torch.equal(reading.tokens, ordered.indices[..., 0])
    torch.testing.assert_close(reading.margin, ordered.values[..., 0] - ordered.values[..., 1])
    assert (reading.margin >= 0).all()


@pytest.mark.parametrize("codes", [2, 32, 64, 4096])
def test_the_nearest_codes_found_by_groups_are_those_of_all(codes: int) -> None:
    similarity = torch.randn(3, 5, codes, generator=torch.Generator().manual_seed(codes))
    if codes > 2:
        similarity[0, 0, codes // 2 : codes // 2 + 2] = torch.tensor([9.0, 8.0])  # neighbours
        similarity[0, 1, [0, codes - 1]] = torch.tensor([8.0, 9.0])  # far apart
    found = nearest(similarity)
    best = similarity.topk(2, -1)
    assert torch.equal(found.tokens, best.indices[..., 0])
    assert torch.equal(found.margin, best.values[..., 0] - best.values[..., 1])


def test_many_tokens_are_read_in_parts_as_all_at_once(codec: VQCodec) -> None:
    pixels = torch.rand(3, 3, 128, 72)
    assert pixels[:, 0].numel() / 64 > AT_ONCE
    reading, whole = codec.read(pixels), nearest(codec.similarity(codec.reader(pixels)))
    assert torch.equal(reading.tokens, whole.tokens)
    assert torch.equal(reading.margin, whole.margin)


def test_the_encoder_is_local(codec: VQCodec) -> None:
    torch.manual_seed(1)
    trained = VQCodec(SMALL).eval()
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    pixels = torch.rand(1, 3, 128, 128)
    changed = pixels.clone()
    changed[:, :, :8, :8] = 1 - changed[:, :, :8, :8]
    differs = (trained.encoder(pixels) - trained.encoder(changed)).abs().sum(1)[0] > 0
    assert differs[0, 0]
    assert not differs[6:].any()
    assert not differs[:, 6:].any()


def test_the_finder_answers_with_a_chance_for_every_offset(codec: VQCodec) -> None:
    found = codec.find(torch.rand(3, 3, 32, 48))
    assert found.shape == (3, 64)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3))

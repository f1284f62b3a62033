from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, read
from generators.checkpoints.llamagen import load_codec, load_transformer
from generators.codecs.vqgan import VQGANCodec, VQGANConfig
from generators.gpt import (
    CONFIGS,
    CaptionEmbedding,
    Conditions,
    LlamaGenConfig,
    LlamaGenTransformer,
)
from generators.guidance import mix
from generators.interface import Prompt
from generators.llamagen import LlamaGenModel
from tests.generators.checkpoints.parity import apart, vectors

BOUND = 1e-4


def loaded(name: str) -> tuple[LlamaGenTransformer, dict[str, Tensor], Tensor]:
    """The transformer, the inputs and outputs, and the prefixes of the inputs."""
    weights, io, _ = vectors(f"llamagen_{name}")
    model = load_transformer(weights, name=name, side=4, heads=4)
    asked = io["cond"].long() if name == "c2i" else io["cond"]
    return model, io, model.cls_embedding(asked)


@pytest.mark.parametrize("name", ["c2i", "t2i"])
def test_the_transformer_computes_what_official_code_computes(name: str) -> None:
    model, io, prefix = loaded(name)
    with torch.inference_mode():
        logits = model(prefix, io["ids"].long()[:, :-1])
    assert apart(logits, io["logits_cond"]) < BOUND


def test_without_a_class_it_computes_what_official_code_computes() -> None:
    model, io, _ = loaded("c2i")
    with torch.inference_mode():
        logits = model(model.cls_embedding.empty(2), io["ids"].long()[:, :-1])
    assert apart(logits, io["logits_uncond"]) < BOUND


def test_without_a_text_it_does_so_up_to_how_the_file_rounds_that_text() -> None:
    """The file holds the states of no text in half precision; its outputs are of finer ones.

    As the file has them they are 3e-4 off. Some states that round to those of the file must give
    the outputs.
    """
    model, io, _ = loaded("t2i")
    embedding, tokens = model.cls_embedding, io["ids"].long()[:, :-1]
    assert isinstance(embedding, CaptionEmbedding)
    stored = embedding.uncond_embedding.detach().clone()
    half = stored.half().abs()
    step = (torch.nextafter(half, torch.tensor(torch.inf, dtype=torch.half)) - half).float()
    within = torch.zeros_like(stored, requires_grad=True)

    def logits() -> Tensor:
        states = stored + within.tanh() * step / 2
        out: Tensor = model(embedding(states.expand(2, -1, -1)), tokens)
        return out

    assert apart(logits().detach(), io["logits_uncond"]) < 1e-3
    search = torch.optim.LBFGS([within], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        off = 1e4 * (logits() - io["logits_uncond"]).square().sum()
        off.backward()  # type: ignore[no-untyped-call]
        return off

    search.step(loss)  # type: ignore[no-untyped-call]
    assert apart(logits().detach(), io["logits_uncond"]) < BOUND


@pytest.mark.parametrize("name", ["c2i", "t2i"])
def test_with_guidance_the_likeliest_tokens_are_the_official_ones(name: str) -> None:
    model, io, prefix = loaded(name)
    with torch.inference_mode():
        told = LlamaGenModel(model, lambda _, texts: Conditions(prefix, None))
        run = told.open([Prompt("")] * len(prefix))
        while (proposal := run.propose()) is not None:
            tokens = mix(proposal.logits[0], proposal.logits[1], 3.0).argmax(-1)
            run.commit(tokens, tokens)
    assert torch.equal(run.tokens().flatten(1), io["greedy_cfg3"].long())


def test_the_codec_computes_what_official_code_computes() -> None:
    weights, io, _ = vectors("llamagen_vq")
    codec = load_codec(weights, name="vq")
    pixels, tokens = (io["image"] + 1) / 2, io["indices"].long()
    with torch.inference_mode():
        assert apart(codec.latent(pixels), io["latent"]) < BOUND
    assert torch.equal(codec.encode(pixels), tokens)
    assert apart(codec.decode(tokens) * 2 - 1, io["decoded"].clamp(-1, 1)) < BOUND


def test_sizes_are_told_from_shapes() -> None:
    text = LlamaGenConfig(32, 4, 128, 2, 2, 384, classes=0, prefix=7, caption_dim=24)
    for config in (LlamaGenConfig(32, 4, 128, 2, 2, 384, classes=5), text):
        tensors = LlamaGenTransformer(config).state_dict()
        assert load_transformer(tensors, name="gpt", side=4).config == config
    codec = VQGANConfig(64, 8, 32, 32, (1, 2), 1)
    assert load_codec(VQGANCodec(codec).state_dict(), name="vq").config == codec
    assert (VQGANConfig().stride, VQGANConfig(widths=(1, 2, 2, 4)).stride) == (16, 8)


def test_the_official_sizes_are_those_of_the_paper() -> None:
    def parameters(config: LlamaGenConfig) -> int:
        with torch.device("meta"):
            made = LlamaGenTransformer(config)
        return sum(p.numel() for p in made.parameters())

    sizes = {name: f"{parameters(config):.3g}" for name, config in CONFIGS.items()}
    assert list(sizes) == ["gpt-b", "gpt-l", "gpt-xl", "gpt-xxl", "gpt-3b"]
    assert list(sizes.values()) == ["1.11e+08", "3.43e+08", "7.75e+08", "1.41e+09", "3.1e+09"]


def _without(tensors: dict[str, Tensor]) -> None:
    del tensors["layers.1.ffn_norm.weight"]


def _besides(tensors: dict[str, Tensor]) -> None:
    tensors["layers.1.attention.bias"] = torch.zeros(1)


def _misshapen(tensors: dict[str, Tensor]) -> None:
    tensors["output.weight"] = torch.zeros(7, 64)


def _renamed(tensors: dict[str, Tensor]) -> None:
    tensors["model.tok_embeddings.weight"] = tensors.pop("tok_embeddings.weight")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_without, r"layers\.1\.ffn_norm\.weight is missing"),
        (_besides, r"layers\.1\.attention\.bias is not part of it"),
        (_misshapen, r"output\.weight is \(7, 64\) instead of \(256, 64\)"),
        (_renamed, r"not of LlamaGen's layout: it has no tensor tok_embeddings\.weight"),
    ],
)
def test_one_wrong_tensor_is_named(damage: Callable[[dict[str, Tensor]], None], says: str) -> None:
    weights, _, _ = vectors("llamagen_c2i")
    damage(weights)
    with pytest.raises(BadCheckpoint, match=says):
        load_transformer(weights, name="gpt", side=4, heads=4)


def test_what_counts_the_codes_used_in_training_is_left_out() -> None:
    weights, _, _ = vectors("llamagen_vq")
    codec = load_codec(weights | {"quantize.codebook_used": torch.zeros(65536)}, name="vq")
    assert "quantize.codebook_used" not in codec.state_dict()


def test_weights_are_found_in_what_a_training_script_saved(tmp_path: Path) -> None:
    from argparse import Namespace

    tensors = {"a": torch.arange(3.0)}
    saved = {"model": tensors, "steps": 7, "args": Namespace(lr=1.0), "optimizer": {"state": {}}}
    torch.save(saved, tmp_path / "c2i_B_256.pt")
    save_file(tensors, tmp_path / "a.safetensors")
    for name in ("c2i_B_256.pt", "a.safetensors"):
        assert torch.equal(read(tmp_path / name)["a"], tensors["a"])

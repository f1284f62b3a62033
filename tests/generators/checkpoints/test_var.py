import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from generators.checkpoints.files import BadCheckpoint, read
from generators.checkpoints.var import load_codec, load_transformer
from generators.scales import CONFIGS, ScalesConfig, ScalesTransformer
from tests.generators.checkpoints.parity import apart, vectors

SIDES = (1, 2, 3, 4)
BOUND = 1e-4


def test_the_transformer_computes_what_official_code_computes() -> None:
    weights, io, _ = vectors("var_transformer")
    model = load_transformer(weights, name="var", sides=SIDES)
    labels = io["labels"].long()
    with torch.inference_mode():
        told = model(labels, io["teacher_input"])
        untold = model(torch.full_like(labels, model.config.classes), io["teacher_input"])
    assert apart(told, io["logits_cond"]) < BOUND
    assert apart(untold, io["logits_uncond"]) < BOUND


def test_the_quantiser_gives_the_transformer_its_official_input() -> None:
    _, io, _ = vectors("var_transformer")
    weights, _, _ = vectors("var_vqvae")
    codec = load_codec(weights, name="vae", sides=SIDES)
    with torch.inference_mode():
        total, inputs = torch.zeros(2, codec.config.dim, 4, 4), []
        for scale, side in enumerate(SIDES[:-1]):
            grid = io[f"indices_{scale}"].long().reshape(-1, side, side)
            total = total + codec.quantize.add(scale, grid)
            inputs.append(codec.quantize.shrunk(total, scale + 1).flatten(2).transpose(1, 2))
    assert apart(torch.cat(inputs, 1), io["teacher_input"]) < BOUND


def test_the_codec_computes_what_official_code_computes() -> None:
    weights, io, _ = vectors("var_vqvae")
    codec = load_codec(weights, name="vae", sides=SIDES)
    pixels = (io["image"] + 1) / 2
    with torch.inference_mode():
        latent = codec.latent(pixels)
        found, total = codec.quantize.describe(latent)
        picture = codec.picture(total)
    assert apart(latent, io["latent"]) < BOUND
    for scale, reading in enumerate(found):
        assert torch.equal(reading.tokens.flatten(1), io[f"indices_{scale}"].long())
    assert apart(total, io["f_hat_last"]) < BOUND
    assert apart(picture * 2 - 1, io["decoded"]) < BOUND


def test_tokens_of_all_scales_are_one_row_both_ways() -> None:
    weights, io, _ = vectors("var_vqvae")
    codec = load_codec(weights, name="vae", sides=SIDES)
    row = torch.cat([io[f"indices_{scale}"] for scale in range(4)], 1).long()
    assert torch.equal(codec.encode((io["image"] + 1) / 2), row)
    assert apart(codec.decode(row) * 2 - 1, io["decoded"]) < BOUND


@pytest.mark.parametrize("shared", [False, True])
def test_sizes_are_told_from_shapes(shared: bool) -> None:
    config = ScalesConfig(16, 4, SIDES, 2, 128, 2, 3, shared_norm=shared)
    tensors = ScalesTransformer(config).state_dict()
    assert load_transformer(tensors, name="var", sides=SIDES).config == config


def test_the_official_sizes_are_those_of_the_paper() -> None:
    assert {name: (c.depth, c.dim, c.heads) for name, c in CONFIGS.items()} == {
        "var-d16": (16, 1024, 16),
        "var-d20": (20, 1280, 20),
        "var-d24": (24, 1536, 24),
        "var-d30": (30, 1920, 30),
        "var-d36-s": (36, 2304, 36),
    }
    assert [name for name, c in CONFIGS.items() if c.shared_norm] == ["var-d36-s"]
    assert CONFIGS["var-d16"].starts[-1] == 680
    assert CONFIGS["var-d36-s"].starts[-1] == 2240


def _without(tensors: dict[str, Tensor]) -> None:
    del tensors["blocks.1.ffn.fc2.bias"]


def _besides(tensors: dict[str, Tensor]) -> None:
    tensors["blocks.1.ffn.fc3.bias"] = torch.zeros(1)


def _misshapen(tensors: dict[str, Tensor]) -> None:
    tensors["head.bias"] = torch.zeros(7)


def _masked(tensors: dict[str, Tensor]) -> None:
    tensors["attn_bias_for_masking"] = torch.zeros(1, 1, 30, 30)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_without, r"blocks\.1\.ffn\.fc2\.bias is missing"),
        (_besides, r"blocks\.1\.ffn\.fc3\.bias is not part of it"),
        (_misshapen, r"head\.bias is \(7,\) instead of \(256,\)"),
        (_masked, "attn_bias_for_masking is not what the sizes give"),
    ],
)
def test_one_wrong_tensor_is_named(damage: Callable[[dict[str, Tensor]], None], says: str) -> None:
    weights, _, _ = vectors("var_transformer")
    load_transformer(weights, name="var", sides=SIDES)
    damage(weights)
    with pytest.raises(BadCheckpoint, match=says):
        load_transformer(weights, name="var", sides=SIDES)


def test_another_layout_is_said_to_be_one() -> None:
    with pytest.raises(BadCheckpoint, match="has no tensor pos_1LC"):
        load_transformer({"output.weight": torch.zeros(1)}, name="gpt.pt")


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_a_pickle_with_code_in_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "var_d16.pth"
    torch.save({"head.bias": _Runs()}, path)
    with pytest.raises(BadCheckpoint, match="holds more than tensors"):
        read(path)
    assert not (tmp_path / "ran").exists()


def test_both_kinds_of_file_are_read(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3.0)}
    torch.save(tensors, tmp_path / "a.pth")
    save_file(tensors, tmp_path / "a.safetensors")
    assert torch.equal(read(tmp_path / "a.pth")["a"], read(tmp_path / "a.safetensors")["a"])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_cut_short_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".pth":
        torch.save({"a": torch.zeros(100)}, path)
    else:
        save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadCheckpoint, match="cut short"):
        read(path)

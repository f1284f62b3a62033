import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import JanusForConditionalGeneration

from generators.checkpoints.files import BadCheckpoint
from generators.checkpoints.janus import (
    JanusFiles,
    is_janus,
    janus_files,
    load_codec,
    load_transformer,
    read_files,
    read_parts,
    sizes_of,
    stride_of,
)
from generators.huggingface.janus import JanusCodec, JanusNetwork
from generators.huggingface.janus_prompts import JanusPrompts
from tests.generators.huggingface import tiny

Change = Callable[[Path], object]
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Janus that is as it should be."""
    return tiny.save_janus(tmp_path_factory.mktemp("brought") / "janus")


@pytest.fixture
def folder(brought: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(brought, tmp_path / "janus"))


def load(folder: Path) -> tuple[JanusForConditionalGeneration, JanusFiles]:
    """All that is read of a folder."""
    files = read_files(folder)
    transformer, codec = read_parts(folder)
    load_codec(codec, files)
    JanusPrompts(files)
    return load_transformer(transformer, files), files


@pytest.mark.parametrize("shard", ["1GB", "200KB"])
def test_what_draws_computes_what_the_library_computes(tmp_path: Path, shard: str) -> None:
    folder = tiny.save_janus(tmp_path / "janus", shard=shard)
    assert (len(janus_files(folder)) > 4) is (shard == "200KB")
    (model, _), theirs = load(folder), JanusForConditionalGeneration.from_pretrained(folder)
    batch = dict(tiny.tokenise(["a cat", "an owl at night"]))
    with torch.inference_mode():
        states = model.model.language_model(**batch).last_hidden_state
        wanted = theirs.model.language_model(**batch).last_hidden_state
        assert torch.equal(states[batch["attention_mask"] > 0], wanted[batch["attention_mask"] > 0])
        heads = model.model.generation_head(states), theirs.model.generation_head(wanted)
        assert torch.equal(*(one[:, -1] for one in heads))
        tokens = torch.arange(tiny.CODES)
        fed = (one.prepare_embeddings_for_image_generation(tokens) for one in (model, theirs))
        assert torch.equal(*fed)


def test_the_vq_model_is_the_librarys(brought: Path) -> None:
    theirs = JanusForConditionalGeneration.from_pretrained(brought).model.vqmodel
    own = load_codec(read_parts(brought)[1], read_files(brought))
    assert own.state_dict().keys() == theirs.state_dict().keys()
    tokens = torch.arange(tiny.SIDE**2)[None]
    with torch.inference_mode():
        assert torch.equal(JanusCodec(own).decode(tokens), JanusCodec(theirs).decode(tokens))
    assert stride_of(sizes_of(read_files(brought)).vq) == 2


def test_what_understands_pictures_is_neither_read_nor_held(brought: Path) -> None:
    model, files = load(brought)
    transformer, codec = read_parts(brought)
    held = {name.split(".")[1] for name in transformer}
    assert held == {
        "language_model",
        "generation_embeddings",
        "generation_aligner",
        "generation_head",
    }
    assert {name.split(".")[1] for name, _ in model.named_parameters()} == held
    assert {name.split(".")[0] for name in codec} == {
        "encoder",
        "decoder",
        "quantize",
        "quant_conv",
        "post_quant_conv",
    }
    everything = [*model.parameters(), *model.buffers(), *load_codec(codec, files).parameters()]
    assert {one.device.type for one in everything} == {"cpu"}
    assert not any(one.requires_grad for one in everything)
    assert not model.training
    assert JanusNetwork(model, JanusPrompts(files)).layout.tokens == tiny.SIDE**2


def test_other_precisions_are_computed_in_single(folder: Path) -> None:
    tensors = {key: one.bfloat16() for key, one in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    told(dtype="bfloat16")(folder)
    model, files = load(folder)
    parameters = [*model.parameters(), *load_codec(read_parts(folder)[1], files).parameters()]
    assert {one.dtype for one in parameters} == {torch.float32}
    assert {one.dtype for one in read_parts(folder)[0].values()} == {torch.bfloat16}


def told(part: str | None = None, *, file: str = "config.json", **changed: Any) -> Change:
    """Change what a file of JSON says; what is changed to ... is left out."""

    def change(folder: Path) -> None:
        config = json.loads((folder / file).read_text())
        table = config if part is None else config[part]
        table.update(changed)
        for key in [key for key, value in table.items() if value is ...]:
            del table[key]
        (folder / file).write_text(json.dumps(config))

    return change


def text(**changed: Any) -> Change:
    return told("text_config", **changed)


def vq(**changed: Any) -> Change:
    return told("vq_config", **changed)


def vision(**changed: Any) -> Change:
    return told("vision_config", **changed)


def begins(**changed: Any) -> Change:
    return told(file="generation_config.json", **changed)


def missing(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def written(name: str, data: str) -> Change:
    return lambda folder: (folder / name).write_text(data)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-50])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (shutil.rmtree, "config.json: No such file"),
        (missing("config.json"), "config.json: No such file"),
        (missing("generation_config.json"), "generation_config.json: No such file"),
        (missing("tokenizer.json"), "tokenizer.json: No such file"),
        (missing(WEIGHTS), "there is no model.safetensors"),
        (pickled, "as pytorch_model.bin, which is not opened: save them as safetensors"),
        (cut, "cut short or no file of tensors"),
        (written("config.json", "{"), "config.json is no JSON"),
        (written("config.json", "[]"), "config.json is no table"),
        (written("tokenizer.json", "{}"), "tokenizer.json is no tokenizer"),
        (told(model_type="emu3"), "config.json names the model 'emu3'"),
        (told(model_type=...), "config.json names the model None"),
        (told(text_config=3), "text_config is 3 in config.json"),
        (text(hidden_size="32"), "hidden_size is '32' in config.json"),
        (text(num_hidden_layers=2.0), "num_hidden_layers is 2.0 in config.json"),
        (text(num_key_value_heads=0), "num_key_value_heads is 0 in config.json"),
        (text(num_attention_heads=3), "do not go together.*32.*is not a multiple"),
        (text(hidden_act="gelu"), "hidden_act is 'gelu' in config.json, and only 'silu' is known"),
        (text(model_type="qwen2"), "model_type is 'qwen2' in config.json, and only 'llama'"),
        (text(attention_bias=True), "attention_bias is True in config.json"),
        (text(rope_scaling={"factor": 2}), "rope_scaling is .* in config.json"),
        (text(rope_parameters={"rope_type": "yarn"}), "rope_type is 'yarn' in config.json"),
        (text(rope_parameters={"rope_theta": "x"}), "rope_theta is 'x'"),
        (text(rms_norm_eps=None), "rms_norm_eps None"),
        (text(vocab_size=18), "has a word 18, and its table 18 words"),
        (vq(embed_dim=-8), "embed_dim is -8 in config.json"),
        (vq(num_embeddings=True), "num_embeddings is True in config.json"),
        (vq(channel_multiplier=[1, "2"]), r"channel_multiplier\[1\] is '2' in config.json"),
        (vq(channel_multiplier=[]), r"channel_multiplier is \[\] in config.json"),
        (vq(double_latent=True), "double_latent is True in config.json, and only False"),
        (vq(base_channels=33), "the sizes in config.json make no model: .*divisible"),
        (vision(image_size=[24, 24]), r"image_size is \[24, 24\] in config.json"),
        (vision(num_image_tokens=35), "num_image_tokens is 35 in config.json, for a grid of 6 x 6"),
        (begins(pad_token_id=None), "pad_token_id is None in generation_config.json"),
        (begins(bos_token_id=64), "bos_token_id is 64 in generation_config.json, and there are 64"),
        (begins(generation_kwargs=...), "boi_token_id is None in generation_config.json"),
        (begins(generation_kwargs={"boi_token_id": "3"}), "boi_token_id is '3' in generation_conf"),
    ],
)
def test_a_folder_with_one_thing_wrong_is_named(folder: Path, change: Change, says: str) -> None:
    load(folder)
    change(folder)
    with pytest.raises(BadCheckpoint, match=says) as raised:
        load(folder)
    assert str(raised.value).startswith(f"{folder} holds no Janus: ")
    assert "\n" not in str(raised.value)


HEAD = "model.generation_head.vision_head.weight"
CODE = "model.vqmodel.quantize.embedding.weight"


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("Janus", (HEAD, None), f"{HEAD} is missing"),
        ("Janus", (HEAD, (64, 31)), rf"{HEAD} is \(64, 31\) instead of \(64, 32\)"),
        ("Janus", ("model.extra", (1,)), "model.extra is not part of it"),
        ("VQ model", (CODE, None), "quantize.embedding.weight is missing"),
        ("VQ model", (CODE, (8, 64)), r"quantize.embedding.weight is \(8, 64\) instead of"),
        ("VQ model", ("model.vqmodel.extra", (1,)), "extra is not part of it"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    folder: Path, part: str, change: tuple[str, tuple[int, ...] | None], says: str
) -> None:
    tensors, (key, shape) = load_file(folder / WEIGHTS), change
    if shape is None:
        del tensors[key]
    else:
        tensors[key] = torch.zeros(shape)
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(BadCheckpoint, match=f"the {part} of {folder} does not fit: {says}"):
        load(folder)


def test_sizes_that_are_left_out_are_the_librarys(folder: Path) -> None:
    told(text_config={}, vq_config=..., vision_config={})(folder)
    sizes = sizes_of(read_files(folder))
    assert (sizes.text.hidden_size, sizes.text.num_hidden_layers) == (4096, 32)
    assert (sizes.vq.num_embeddings, sizes.vq.num_patches, stride_of(sizes.vq)) == (16384, 24, 16)


def test_the_fourth_transformers_wrote_where_angles_come_from_elsewhere(folder: Path) -> None:
    text(rope_parameters=..., rope_theta=500.0, rope_scaling=None, head_dim=None)(folder)
    assert sizes_of(read_files(folder)).text.rope_parameters["rope_theta"] == 500.0  # type: ignore[index]
    changed, before = load(folder)[0].model.language_model.rotary_emb.inv_freq, 10_000.0**-0.5
    assert changed[4] == pytest.approx(500.0**-0.5)
    assert changed[4] != pytest.approx(before)


def test_nothing_but_the_sizes_is_taken_from_what_config_says(folder: Path) -> None:
    def states() -> Tensor:
        ids = torch.tensor([[1, 8, 3]])
        with torch.inference_mode():
            told: Tensor = load(folder)[0].model.language_model(input_ids=ids).last_hidden_state
        return told

    plain = states()
    told(
        auto_map={"AutoModel": "code.Janus"},
        attn_implementation="somebody/kernels",
        quantization_config={"quant_method": "somebody"},
    )(folder)
    text(attn_implementation="somebody/kernels", pad_token_id=99)(folder)
    (folder / "code.py").write_text("raise SystemExit('executed')")
    assert torch.equal(states(), plain)


def test_a_janus_is_told_by_its_config(folder: Path) -> None:
    assert is_janus(folder)
    told(model_type="llama")(folder)
    assert not is_janus(folder)
    missing("config.json")(folder)
    assert not is_janus(folder)
    assert not is_janus(folder / WEIGHTS)


def test_what_lies_beside_the_weights_is_written_as_it_was_read(
    folder: Path, tmp_path: Path
) -> None:
    (new := tmp_path / "new").mkdir()
    read_files(folder).save(new)
    for file in new.iterdir():
        assert file.read_bytes() == (folder / file.name).read_bytes()
    assert len(list(new.iterdir())) == 3

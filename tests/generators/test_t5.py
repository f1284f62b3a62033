import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Config, T5EncoderModel
from transformers import T5ForConditionalGeneration as WholeT5

from generators.checkpoints.files import BadCheckpoint
from generators.t5 import NoEncoder, T5States, encoder_files, read_encoder

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "cat", "owl")


def saved(folder: Path, *, whole: bool = False, forward: str = "relu", shard: str = "1GB") -> Path:
    """A tiny encoder with random weights, or one with its decoder, and a tokenizer of words."""
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = T5Config(
        vocab_size=len(WORDS),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        feed_forward_proj=forward,
    )
    made = WholeT5(config) if whole else T5EncoderModel(config)
    made.save_pretrained(folder, max_shard_size=shard)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An encoder that is as it should be."""
    return saved(tmp_path / "t5")


def test_states_are_those_of_the_text_and_padding_is_told(folder: Path) -> None:
    encode = T5States(read_encoder(folder), places=5)
    states, valid = encode(["a red cat", "owl"])
    assert states.shape == (2, 5, encode.width)
    assert valid.tolist() == [[True, True, True, True, False], [True, True] + [False] * 3]


def test_a_texts_states_are_the_same_to_the_last_bit_whatever_is_asked_beside_it(
    folder: Path,
) -> None:
    encode = T5States(read_encoder(folder), places=5)
    states, _ = encode(["a red cat", "owl", "a red cat", "a"])
    for row, text in enumerate(("a red cat", "owl", "a red cat", "a")):
        assert torch.equal(states[row], encode([text])[0][0])


@pytest.mark.parametrize("kind", [{}, {"whole": True, "forward": "gated-gelu"}, {"shard": "2KB"}])
def test_states_are_those_that_the_library_computes(tmp_path: Path, kind: dict[str, str]) -> None:
    folder = saved(tmp_path / "t5", **kind)  # type: ignore[arg-type]
    assert (len(encoder_files(folder)) > 3) is ("shard" in kind)
    texts = ["a red cat", "an owl on a red cat", "owl"]
    states, valid = T5States(read_encoder(folder), places=5)(texts)
    told = AutoTokenizer.from_pretrained(folder)(
        texts, max_length=5, padding="max_length", truncation=True, return_tensors="pt"
    )
    assert torch.equal(valid, told["attention_mask"].bool())
    model = T5EncoderModel.from_pretrained(folder).eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        wanted = model(input_ids=told["input_ids"], attention_mask=told["attention_mask"])[0]
    torch.testing.assert_close(states, wanted, rtol=1e-5, atol=1e-5)


def test_a_long_text_is_cut(folder: Path) -> None:
    states, valid = T5States(read_encoder(folder), places=2)(["a red cat"])
    assert (states.shape, valid.all().item()) == ((1, 2, 16), True)


def test_a_decoder_is_left_unread(tmp_path: Path) -> None:
    folder = saved(tmp_path / "t5", whole=True)
    assert any(key.startswith("decoder.") for key in load_file(folder / "model.safetensors"))
    tensors = read_encoder(folder).tensors
    assert {key.partition(".")[0] for key in tensors} == {"encoder", "shared"}


def told(**changed: object) -> Callable[[Path], None]:
    """Change what config.json says."""

    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changed}))

    return change


def words(**changed: object) -> Callable[[Path], None]:
    """Change the words that tokenizer.json numbers."""

    def change(folder: Path) -> None:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, **changed}
        tokenizer["model"]["vocab"] = {k: v for k, v in vocabulary.items() if v is not None}
        tokenizer["added_tokens"] = []
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    return change


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without(key: str) -> Callable[[Path], None]:
    """Take a tensor out."""

    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        del tensors[key]
        save_file(tensors, folder / "model.safetensors")

    return change


def unlike(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"] + 1
    save_file(tensors, folder / "model.safetensors")


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (shutil.rmtree, "there is no model.safetensors"),
        (missing("model.safetensors"), "there is no model.safetensors"),
        (missing("tokenizer.json"), "tokenizer.json: No such file"),
        (missing("config.json"), "config.json: No such file"),
        (pickled, "as pytorch_model.bin, which is not opened: save them as safetensors"),
        (written("model.safetensors", "GGUF"), "cut short or no file of tensors"),
        (written("config.json", "{"), "config.json is no JSON"),
        (written("config.json", "[]"), "config.json is no table"),
        (told(model_type="mt5"), "names the model 'mt5'"),
        (told(d_model="16"), "d_model is '16'"),
        (told(num_heads=0), "num_heads is 0"),
        (told(feed_forward_proj="gated-silu"), "feed-forward 'gated-silu'"),
        (told(layer_norm_epsilon=None), "norms of None"),
        (written("tokenizer.json", "{}"), "tokenizer.json is no tokenizer"),
        (words(**{"<pad>": None}), "knows no <pad>"),
        (words(dog=7), "has a word 7, and its table 7 words"),
        (unlike, "embed_tokens.weight is not shared.weight"),
    ],
)
def test_a_folder_with_one_thing_wrong_is_named(
    folder: Path, change: Callable[[Path], object], says: str
) -> None:
    T5States(read_encoder(folder))
    change(folder)
    with pytest.raises(NoEncoder, match=says) as raised:
        T5States(read_encoder(folder))
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (told(num_layers=3), r"encoder.block.2.\S+ is missing"),
        (told(d_ff=64), r"wi.weight is \(32, 16\) instead of \(64, 16\)"),
        (without("shared.weight"), "shared.weight is missing"),
    ],
)
def test_weights_that_do_not_fit_the_sizes_are_named(
    folder: Path, change: Callable[[Path], None], says: str
) -> None:
    change(folder)
    with pytest.raises(BadCheckpoint, match=f"the T5 encoder of {folder} does not fit: .*{says}"):
        T5States(read_encoder(folder))


def test_nothing_but_the_sizes_is_taken_from_what_config_says(folder: Path) -> None:
    plain = T5States(read_encoder(folder))(["a red cat"])[0]
    told(
        auto_map={"AutoModel": "code.T5"},
        attn_implementation="somebody/kernels",
        quantization_config={"quant_method": "somebody"},
    )(folder)
    (folder / "code.py").write_text("raise SystemExit('executed')")
    assert torch.equal(T5States(read_encoder(folder))(["a red cat"])[0], plain)
